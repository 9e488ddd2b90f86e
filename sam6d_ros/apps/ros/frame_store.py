"""Frames that wait for their masks, found by exact stamp. Holds no node."""

from __future__ import annotations

import threading
from collections import OrderedDict

from sam6d_ros.apps.ros.camera_input import CameraMessages
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.msg import InstanceMaskArray

Match = tuple[CameraMessages, InstanceMaskArray]


class FrameStore:
    """Pairs the masks of one image with that image, whichever comes first.

    A plain synchronizer would count messages; segmentation takes seconds, so what bounds this
    store is memory. Masks come in the order of their images: once a frame is taken, older ones
    are of no use any more.

    Args:
        max_bytes: of image data kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._frames: OrderedDict[int, CameraMessages] = OrderedDict()
        self._bytes = 0
        self._waiting: InstanceMaskArray | None = None
        self._matched: CameraMessages | None = None
        self._lock = threading.Lock()
        self.unmatched = 0

    def add_frame(self, frame: CameraMessages) -> Match | None:
        """Keep a frame; returns the match when its masks were waiting for it."""
        stamp = stamp_ns_of(frame.rgb.header)
        with self._lock:
            if self._waiting is not None and stamp_ns_of(self._waiting.header) == stamp:
                masks, self._waiting = self._waiting, None
                self._matched = frame
                return frame, masks
            if stamp in self._frames:  # a bag that begins again
                self._bytes -= _size(self._frames.pop(stamp))
            self._frames[stamp] = frame
            self._bytes += _size(frame)
            while self._bytes > self._max_bytes and len(self._frames) > 1:
                self._drop_oldest()
        return None

    def add_masks(self, masks: InstanceMaskArray) -> Match | None:
        """The match when the masks' frame is here; else keep the masks until it comes."""
        stamp = stamp_ns_of(masks.header)
        with self._lock:
            if stamp not in self._frames:
                self.unmatched += self._waiting is not None
                self._waiting = masks
                return None
            while next(iter(self._frames)) != stamp:
                self._drop_oldest()
            frame = self._matched = self._frames[stamp]
            self._drop_oldest()
        return frame, masks

    def find(self, stamp_ns: int) -> CameraMessages | None:
        """The frame of a stamp if it is here, or was the last to be matched; it stays."""
        with self._lock:
            last = self._matched
            if last is not None and stamp_ns_of(last.rgb.header) == stamp_ns:
                return last
            return self._frames.get(stamp_ns)

    def _drop_oldest(self) -> None:
        _, frame = self._frames.popitem(last=False)
        self._bytes -= _size(frame)


def _size(frame: CameraMessages) -> int:
    return len(frame.rgb.data) + len(frame.depth.data)
