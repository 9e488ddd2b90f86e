"""Frames that wait for their masks, found by exact stamp."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Generic, TypeVar

ANNOUNCED = 4  # one is in progress, and perhaps one more asked for by a client

FrameItem = TypeVar("FrameItem")
MaskItem = TypeVar("MaskItem")


class FrameStore(Generic[FrameItem, MaskItem]):
    """Pairs the masks of one image with that image, whichever comes first.

    A plain synchronizer would count messages; what bounds this store is memory. Segmentation may
    take longer than the frames of a fast camera fit into it, so a frame that is announced as being
    segmented stays. Masks come in the order of their images: once a frame is taken, older ones are
    of no use any more.

    Args:
        max_bytes: of image data kept, beside announced frames.

    Attributes:
        unmatched: masks whose frame did not come; those of before the first frame do not count.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._frames: OrderedDict[int, tuple[FrameItem, int]] = OrderedDict()
        self._bytes = 0
        self._first_ns: int | None = None
        self._waiting: tuple[int, MaskItem] | None = None
        self._matched: tuple[int, FrameItem] | None = None
        self._announced: deque[int] = deque(maxlen=ANNOUNCED)
        self._lock = threading.Lock()
        self.unmatched = 0

    def add_frame(
        self, stamp_ns: int, frame: FrameItem, size_bytes: int
    ) -> tuple[FrameItem, MaskItem] | None:
        """Store a frame until its masks come.

        Args:
            stamp_ns: of the frame, nanoseconds.
            frame: the frame.
            size_bytes: its memory.

        Returns:
            The frame and its masks if these were waiting for it, else None.
        """
        with self._lock:
            if self._first_ns is None or stamp_ns < self._first_ns:
                self._first_ns = stamp_ns
            if self._waiting is not None and self._waiting[0] == stamp_ns:
                masks, self._waiting = self._waiting[1], None
                self._matched = stamp_ns, frame
                return frame, masks
            if stamp_ns in self._frames:  # a bag that begins again
                self._drop(stamp_ns)
            self._frames[stamp_ns] = (frame, size_bytes)
            self._bytes += size_bytes
            self._drop_what_is_too_much()
        return None

    def announce(self, stamp_ns: int) -> None:
        """Keep the frame of this stamp: it is being segmented.

        Args:
            stamp_ns: of the frame, nanoseconds.
        """
        with self._lock:
            self._announced.append(stamp_ns)

    def add_masks(self, stamp_ns: int, masks: MaskItem) -> tuple[FrameItem, MaskItem] | None:
        """Match masks with their frame, or keep them until it comes.

        Args:
            stamp_ns: of the masks, nanoseconds.
            masks: the masks.

        Returns:
            The frame and the masks if the frame is here, else None.
        """
        with self._lock:
            if stamp_ns not in self._frames:
                gone = bool(self._frames) and stamp_ns < next(reversed(self._frames))
                replaced = self._waiting is not None and self._expected(self._waiting[0])
                self.unmatched += self._expected(stamp_ns) and (gone or replaced)
                self._waiting = stamp_ns, masks
                return None
            while (oldest := next(iter(self._frames))) != stamp_ns:
                self._drop(oldest)
            frame = self._drop(stamp_ns)
            self._matched = stamp_ns, frame
        return frame, masks

    def find(self, stamp_ns: int) -> FrameItem | None:
        """Return the frame of a stamp without removing it.

        Args:
            stamp_ns: of the frame, nanoseconds.

        Returns:
            The frame if it is stored or was the last to be matched, else None.
        """
        with self._lock:
            if self._matched is not None and self._matched[0] == stamp_ns:
                return self._matched[1]
            frame, _ = self._frames.get(stamp_ns, (None, 0))
            return frame

    def _expected(self, stamp_ns: int) -> bool:
        """Whether a frame should have come here: it is not older than the first one that came."""
        return self._first_ns is not None and stamp_ns >= self._first_ns

    def _drop_what_is_too_much(self) -> None:
        """Return the oldest frame that is not announced; the newest always stays."""
        *older, _ = self._frames
        for stamp_ns in older:
            if self._bytes <= self._max_bytes:
                return
            if stamp_ns not in self._announced:
                self._drop(stamp_ns)

    def _drop(self, stamp_ns: int) -> FrameItem:
        frame, size_bytes = self._frames.pop(stamp_ns)
        self._bytes -= size_bytes
        return frame
