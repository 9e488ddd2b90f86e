"""Frames to scan from: thinned folders, frames in memory, frames that are read ahead."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from sam6d_ros.scan.motion import Frames
from sam6d_ros.types import Frame

MOST_BYTES = 1_000_000_000
AHEAD = 8


@dataclass(frozen=True)
class _Thinned:
    """Every n-th frame of others."""

    frames: Frames
    every: int

    def __len__(self) -> int:
        return -(-len(self.frames) // self.every)

    def frame(self, index: int) -> Frame:
        return self.frames.frame(index * self.every)


@dataclass(frozen=True)
class InMemory:
    """Frames that are held."""

    frames: Sequence[Frame]

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, index: int) -> Frame:
        """Return one frame."""
        return self.frames[index]


def thinned(frames: Frames, every: int) -> Frames:
    """Return every n-th frame."""
    return frames if every == 1 else _Thinned(frames, every)


class ReadAhead:
    """Frames of a slow source, read by a thread before they are needed, and kept if they fit.

    A scan goes over its frames several times; decoding one takes about 15 ms at 640 x 480.

    Args:
        frames: the source, at least one frame.
        most_bytes: memory for the frames that are kept; later ones are read each time.
    """

    def __init__(self, frames: Frames, most_bytes: int = MOST_BYTES) -> None:
        self._frames = frames
        first = frames.frame(0)
        self._fitting = most_bytes // (first.rgb.nbytes + first.depth.nbytes)
        self._kept: dict[int, Future[Frame]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    def frame(self, index: int) -> Frame:
        """Return one frame."""
        if index >= self._fitting:
            return self._frames.frame(index)
        last = min(index + AHEAD, len(self), self._fitting)
        with self._lock:
            for ahead in range(index, last):
                if ahead not in self._kept:
                    self._kept[ahead] = self._pool.submit(self._frames.frame, ahead)
            future = self._kept[index]
        return future.result()

    def close(self) -> None:
        """Read no more; forget the frames."""
        self._pool.shutdown(cancel_futures=True)
        self._kept.clear()
