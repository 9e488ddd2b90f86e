"""Live output of a stream: analysis of the newest picture, and one newest JPEG for all viewers."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2

from sam6d_ros.errors import InvariantError, Overloaded
from sam6d_ros.runtime.error_table import Kind, handling_of, message_of
from sam6d_ros.runtime.model_server.frame_model import FrameAnswer
from sam6d_ros.runtime.stats import SHORTEST_SPAN_S, WINDOW_S, SlidingWindow, Spread
from sam6d_ros.runtime.streams.analysis import Analysis
from sam6d_ros.runtime.streams.newest import Newest, Viewer
from sam6d_ros.runtime.streams.picture import Image, Picture
from sam6d_ros.runtime.streams.stream import Stream

log = logging.getLogger(__name__)

JPEG_QUALITY = 80
MAX_VIEWERS = 64
WAKE_S = 0.5  # between looks at whether the output is closed
DEFECT_TEXT = "the analysis failed by a defect; the log of the server has it"


@dataclass(frozen=True, eq=False)
class LivePicture:
    """Encoded picture with its result.

    Attributes:
        number: of this output, from 1.
        jpeg: JPEG file.
        stamp_ns: time of decoding, wall clock.
        age_s: seconds from decoding to the end of encoding.
        size: width and height, pixels.
        answer: of the analysis, or None without one.
        error: why the analysis failed; empty otherwise.
    """

    number: int
    jpeg: bytes
    stamp_ns: int
    age_s: float
    size: tuple[int, int]
    answer: FrameAnswer | None
    error: str


@dataclass(frozen=True)
class LiveStatus:
    """Figures of a live output.

    Attributes:
        rate_hz: pictures encoded per second, over the last seconds.
        age: from decoding to the end of encoding, seconds.
        viewers: number now.
        error: why the last analysis failed; empty otherwise.
    """

    rate_hz: float
    age: Spread
    viewers: int
    error: str


class Live:
    """Thread that analyses and encodes the newest picture of a stream while there are viewers.

    Args:
        stream: that is watched.
        analysis: of each picture; may raise: the picture is then shown without a result.
        max_viewers: most viewers at once.
    """

    def __init__(
        self, stream: Stream, analysis: Analysis | None = None, max_viewers: int = MAX_VIEWERS
    ) -> None:
        self._stream, self._analysis = stream, analysis
        self._max_viewers = max_viewers
        self._newest: Newest[LivePicture] = Newest()
        self._ages = SlidingWindow(time.monotonic)
        self._number, self._error = 0, ""
        self._watched_since = -math.inf
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"live {stream.name}", daemon=True)
        self._thread.start()

    def subscribe(self, notify: Callable[[], object] | None = None) -> Viewer[LivePicture]:
        """Return a viewer; see ``Newest.subscribe``.

        Args:
            notify: called for each new picture, in the thread of the stream.

        Raises:
            Overloaded: there are too many viewers.
        """
        if self._newest.viewers >= self._max_viewers:
            raise Overloaded(
                f"the stream has {self._max_viewers} viewers, which is the most; try again later",
                retry_after_s=5.0,
            )
        return self._newest.subscribe(notify)

    @property
    def status(self) -> LiveStatus:
        """Figures of this moment."""
        span_s = min(WINDOW_S, max(time.monotonic() - self._watched_since, SHORTEST_SPAN_S))
        rate_hz = len(self._ages.recent()) / span_s
        return LiveStatus(rate_hz, self._ages.spread(), self._newest.viewers, self._error)

    def close(self, timeout_s: float = 5.0) -> bool:
        """End the thread and the waits of all viewers.

        Args:
            timeout_s: longest wait, seconds.

        Returns:
            Whether the thread ended in time.
        """
        self._stop.set()
        self._newest.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- in the thread

    def _run(self) -> None:
        with self._stream.subscribe() as pictures:
            watched = False
            while not self._stop.is_set():
                if not self._newest.wait_for_viewer(WAKE_S):
                    watched = False
                    continue
                if not watched:
                    watched, self._watched_since = True, time.monotonic()
                picture = pictures.next(WAKE_S)
                if pictures.ended:
                    self._newest.close()
                    return
                if picture is not None:
                    self._show(picture)

    def _show(self, picture: Picture) -> None:
        answer, error = self._answer(picture)
        try:
            image = picture.image_rgb
            jpeg = encode_jpeg(image if answer is None else answer.draw(image))
        except Exception:  # a picture that cannot be converted; the next one may
            log.exception("stream %s: a picture cannot be shown", self._stream.name)
            return
        self._number, self._error = self._number + 1, error
        shown = LivePicture(
            self._number, jpeg, picture.stamp_ns, picture.age_s, picture.size, answer, error
        )
        self._ages.add(shown.age_s)
        self._newest.put(shown)

    def _answer(self, picture: Picture) -> tuple[FrameAnswer | None, str]:
        """Return the answer of the analysis, or why there is none."""
        if self._analysis is None:
            return None, ""
        try:
            return self._analysis(picture), ""
        except Exception as error:  # of the model: the stream goes on
            return None, self._reported(error)

    def _reported(self, error: Exception) -> str:
        """Return the text about an error of the analysis; log it if it is new."""
        handling = handling_of(error)
        text = DEFECT_TEXT if handling.kind is Kind.DEFECT else message_of(error)
        if text != self._error:
            log.log(
                handling.severity,
                "stream %s: the analysis failed: %s",
                self._stream.name,
                message_of(error),
                exc_info=error if handling.with_traceback else None,
            )
        return text


def encode_jpeg(image_rgb: Image, quality: int = JPEG_QUALITY) -> bytes:
    """Return an image (H, W, 3) uint8 RGB as JPEG.

    Args:
        image_rgb: the image.
        quality: of JPEG, 1 to 100.

    Raises:
        InvariantError: it cannot be encoded.
    """
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise InvariantError(f"an image of shape {image_rgb.shape} cannot be encoded as JPEG")
    return bytes(data)
