"""One decoded picture of a stream, converted to RGB when it is first read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.types import Frame

Image = NDArray[np.uint8]


class Picture:
    """Decoded picture.

    The conversion to RGB happens once, in the thread that reads ``image_rgb`` first; pictures that
    are never read cost no conversion.

    Args:
        convert: returns (H, W, 3) uint8, RGB.
        size: width and height, pixels.
        frame: the picture with depth, of sources that have depth.

    Attributes:
        size: width and height, pixels.
        frame: with depth, or None.
        decoded_at: time of decoding, seconds of ``time.monotonic``.
        stamp_ns: time of decoding, nanoseconds of the wall clock.
    """

    def __init__(
        self, convert: Callable[[], Image], size: tuple[int, int], frame: Frame | None = None
    ) -> None:
        self.decoded_at, self.stamp_ns = time.monotonic(), time.time_ns()
        self.size, self.frame = size, frame
        self._convert: Callable[[], Image] | None = convert
        self._image: Image | None = None
        self._lock = threading.Lock()

    @property
    def image_rgb(self) -> Image:
        """(H, W, 3) uint8, RGB; shared by all viewers, so read-only."""
        with self._lock:
            if self._image is None:
                assert self._convert is not None
                image = self._convert()
                image.flags.writeable = False
                self._image, self._convert = image, None  # frees the decoder's buffer
            return self._image

    @property
    def age_s(self) -> float:
        """Seconds since the picture was decoded."""
        return time.monotonic() - self.decoded_at
