"""Frames that wait for their masks, found by exact stamp."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

from sam6d_ros.apps.ros.camera_input import CameraMessages
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.msg import InstanceMaskArray

ANNOUNCED = 4  # one is in work, and perhaps one more asked for by a client

Match = tuple[CameraMessages, InstanceMaskArray]


class FrameStore:
    """Pairs the masks of one image with that image, whichever comes first.

    A plain synchronizer would count messages; what bounds this store is memory. Segmentation may
    take longer than the frames of a fast camera fit into it, so a frame that is announced as being
    segmented stays. Masks come in the order of their images: once a frame is taken, older ones are
    of no use any more.

    Args:
        max_bytes: of image data kept, beside announced frames.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._frames: OrderedDict[int, CameraMessages] = OrderedDict()
        self._bytes = 0
        self._waiting: InstanceMaskArray | None = None
        self._matched: CameraMessages | None = None
        self._announced: deque[int] = deque(maxlen=ANNOUNCED)
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
            self._drop_what_is_too_much()
        return None

    def announce(self, stamp_ns: int) -> None:
        """The frame of this stamp is being segmented: hold on to it."""
        with self._lock:
            self._announced.append(stamp_ns)

    def add_masks(self, masks: InstanceMaskArray) -> Match | None:
        """The match when the masks' frame is here; else keep the masks until it comes."""
        stamp = stamp_ns_of(masks.header)
        with self._lock:
            if stamp not in self._frames:
                gone = bool(self._frames) and stamp < next(reversed(self._frames))
                self.unmatched += gone or self._waiting is not None
                self._waiting = masks
                return None
            while next(iter(self._frames)) != stamp:
                self._drop(next(iter(self._frames)))
            frame = self._matched = self._drop(stamp)
        return frame, masks

    def find(self, stamp_ns: int) -> CameraMessages | None:
        """The frame of a stamp if it is here, or was the last to be matched; it stays."""
        with self._lock:
            last = self._matched
            if last is not None and stamp_ns_of(last.rgb.header) == stamp_ns:
                return last
            return self._frames.get(stamp_ns)

    def _drop_what_is_too_much(self) -> None:
        """The oldest that nobody has announced; the newest always stays."""
        *older, _ = self._frames
        for stamp in older:
            if self._bytes <= self._max_bytes:
                return
            if stamp not in self._announced:
                self._drop(stamp)

    def _drop(self, stamp_ns: int) -> CameraMessages:
        frame = self._frames.pop(stamp_ns)
        self._bytes -= _size(frame)
        return frame


def _size(frame: CameraMessages) -> int:
    return len(frame.rgb.data) + len(frame.depth.data)
