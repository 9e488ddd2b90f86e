"""Image files and videos as RGB arrays, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput

DEFAULT_FPS = 25.0  # where a source states none


class Video:
    """Frames of a camera, a video file or a stream.

    Args:
        source: number of a camera, path, or address that OpenCV opens.

    Raises:
        InvalidInput: it cannot be opened.
    """

    def __init__(self, source: int | str) -> None:
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise InvalidInput(_unopened(source))
        stated = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = stated if 0 < stated < 1000 else DEFAULT_FPS

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames (H, W, 3) uint8, RGB, until the source ends."""
        while True:
            good, frame = self._capture.read()
            if not good:
                return
            yield np.ascontiguousarray(frame[..., ::-1])

    def close(self) -> None:
        """Close the source."""
        self._capture.release()


def _unopened(source: int | str) -> str:
    """Return the error about a source; it shows no password of an address."""
    if isinstance(source, int):
        return (
            f"cannot open camera {source} (/dev/video{source}); check that it is plugged in, that "
            "no other program uses it, and that you are in the group video"
        )
    if "://" in source:
        shown = re.sub(r"//.*@", "//***@", source)
        return f"cannot open the stream '{shown}'; check the address, the password and the network"
    return f"cannot open the video '{source}'; check the path, and that OpenCV supports its codec"


class VideoFile:
    """Video file (MP4) that is written frame by frame.

    Args:
        path: of the file.
        size_hw: height and width of all frames.
        fps: frames per second.

    Raises:
        InvalidInput: it cannot be written.
    """

    def __init__(self, path: Path, size_hw: tuple[int, int], fps: float) -> None:
        code = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(str(path), code, fps, size_hw[::-1])
        if not self._writer.isOpened():
            raise InvalidInput(f"cannot write a video to '{path}'")

    def write(self, frame_rgb: NDArray[np.uint8]) -> None:
        """Append a frame (H, W, 3) uint8, RGB."""
        self._writer.write(np.ascontiguousarray(frame_rgb[..., ::-1]))

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()
