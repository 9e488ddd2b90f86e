"""Newest intrinsics of a camera, which may send them once, or at another rate than its images."""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sam6d_ros.apps.ros.conversions import stamp_ns_of

RECENT = 30  # messages, one second of a usual camera

ColourMessage: TypeAlias = Image | CompressedImage
Pair: TypeAlias = tuple[ColourMessage, ColourMessage]
Complete: TypeAlias = tuple[ColourMessage, ColourMessage, CameraInfo]


class Intrinsics:
    """Intrinsics of each image: those of the same stamp, else the newest.

    A pair of images waits for the first message. Once a message had the stamp of an image, a pair
    also waits for its own, at most until the next pair.

    Attributes:
        newest: the last message; None before the first.
    """

    def __init__(self) -> None:
        self.newest: CameraInfo | None = None
        self._recent: deque[tuple[int, CameraInfo]] = deque(maxlen=RECENT)
        self._waiting: Pair | None = None
        self._stamps_match = False

    def add(self, info: CameraInfo) -> list[Complete]:
        """Take a message; return the pair that waited for it, if one did."""
        self.newest = info
        self._recent.append((stamp_ns_of(info.header), info))
        if self._waiting is None or self._wanted(self._waiting) is None:
            return []
        return self.flush()

    def complete(self, rgb: ColourMessage, depth: ColourMessage) -> list[Complete]:
        """Take a pair of images; return what is complete: an earlier pair that waited, this one."""
        done = self.flush()
        self._waiting = rgb, depth
        return done if self._wanted(self._waiting) is None else [*done, *self.flush()]

    def flush(self) -> list[Complete]:
        """Return the pair that waits, with the newest message if its own has not come."""
        pair, self._waiting = self._waiting, None
        info = None if pair is None else self._own(pair) or self.newest
        return [] if pair is None or info is None else [(*pair, info)]

    def _own(self, pair: Pair) -> CameraInfo | None:
        """Return the message with the stamp of a colour image."""
        stamp_ns = stamp_ns_of(pair[0].header)
        return next((info for at, info in reversed(self._recent) if at == stamp_ns), None)

    def _wanted(self, pair: Pair) -> CameraInfo | None:
        """Return the intrinsics that a pair is complete with; None if better ones may come."""
        if own := self._own(pair):
            self._stamps_match = True
            return own
        is_late = bool(self._recent) and self._recent[-1][0] > stamp_ns_of(pair[0].header)
        return self.newest if is_late or not self._stamps_match else None
