"""Recent frames, small and few, so that a result of an earlier frame can be brought up to date."""

from __future__ import annotations

from collections import deque

import cv2

from sam6d_ros.types import Frame

WIDTH = 320  # pixels: enough to follow an object from one kept frame to the next


class FrameBuffer:
    """Frames of the last ``seconds``, at most ``hz`` per second.

    Memory: 0.5 MB per frame of 320 × 240.
    """

    def __init__(self, seconds: float, hz: float) -> None:
        self._seconds, self._period_ns = seconds, round(1e9 / hz)
        self._frames: deque[Frame] = deque()

    def add(self, frame: Frame) -> None:
        """Keep the frame if the last one kept is old enough; drop those that are too old.

        Args:
            frame: the image.
        """
        if not self._frames or frame.stamp_ns - self._frames[-1].stamp_ns >= self._period_ns:
            self._frames.append(reduced(frame))
        while self._frames and self._frames[0].stamp_ns < frame.stamp_ns - self._seconds * 1e9:
            self._frames.popleft()

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()

    def around(self, stamp_ns: int) -> list[Frame]:
        """Return the kept frame nearest to a stamp and all newer ones, oldest first.

        Args:
            stamp_ns: the stamp, nanoseconds.
        """
        frames = list(self._frames)
        if not frames:
            return []
        offsets = [abs(frame.stamp_ns - stamp_ns) for frame in frames]
        return frames[offsets.index(min(offsets)) :]

    def since(self, stamp_ns: int, newest: Frame) -> list[Frame]:
        """Return the kept frames from a stamp on, then the newest one, which need not be kept.

        Args:
            stamp_ns: the stamp, nanoseconds.
            newest: the newest frame.
        """
        if stamp_ns > newest.stamp_ns:
            return []
        kept = self.around(stamp_ns)
        return [f for f in kept if stamp_ns <= f.stamp_ns < newest.stamp_ns] + [newest]

    def __len__(self) -> int:
        return len(self._frames)


def reduced(frame: Frame) -> Frame:
    """Return the frame at WIDTH pixels, or as it is if it is not larger.

    Args:
        frame: the image.
    """
    if frame.camera.width <= WIDTH:
        return frame
    camera = frame.camera.scaled(WIDTH / frame.camera.width)
    size = (camera.width, camera.height)
    # depth must not be averaged across edges; colour must, or it aliases
    depth = cv2.resize(frame.depth, size, interpolation=cv2.INTER_NEAREST)
    rgb = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
    return Frame(rgb, depth, camera, frame.stamp_ns, frame.frame_id)
