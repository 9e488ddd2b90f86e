"""Video by PyAV (FFmpeg): RTSP, HTTP MJPEG, files and cameras of this machine.

FFmpeg gets the checked IP address instead of the host name, only the protocols and formats below,
and no redirects of HTTP, so that a source cannot lead to another host or file. It does follow a
redirect of RTSP (status 302); there is no option against it (FFmpeg 8.1).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import closing
from typing import Any

from sam6d_ros.errors import InvalidInput, TooLarge
from sam6d_ros.runtime.streams.address import Address, Kind
from sam6d_ros.runtime.streams.failures import Failure, ended, explain
from sam6d_ros.runtime.streams.ffmpeg import open_container
from sam6d_ros.runtime.streams.picture import Image, Picture
from sam6d_ros.runtime.streams.policy import SourcePolicy
from sam6d_ros.runtime.streams.source import ReadSettings

# Opening takes 0.3 s with it and 1.3 s without (RTSP, H.264, 25 pictures/s).
ANALYZE_US = "100000"
PROTOCOLS = {
    "rtsp": "rtsp,tcp,udp,rtp",
    "rtsps": "rtsp,rtsps,tls,tcp,rtp",
    "http": "http,tcp",
    "https": "https,tls,tcp",
}
# Neither playlists nor SDP files: they name further addresses.
FORMATS = (
    "avi,flv,h264,hevc,image2,jpeg_pipe,matroska,webm,mjpeg,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,"
    "mpegvideo,mpjpeg,nut,ogg"
)
RTSP_FORMATS = "rtsp,sdp,rtp"
HTTP_FORMATS = "jpeg_pipe,mjpeg,mpegts,mpjpeg"  # a file would be read at the speed of the network
MAX_BAD_PACKETS = 100  # in a row; more means that nothing can be decoded


class VideoSource:
    """Source of pictures that FFmpeg reads.

    Args:
        address: of the source.
        policy: rules, applied at each attempt to open it.
        settings: of reading.
    """

    def __init__(self, address: Address, policy: SourcePolicy, settings: ReadSettings) -> None:
        self._address, self._policy, self._settings = address, policy, settings

    @property
    def is_live(self) -> bool:
        """Whether the end of the pictures is a loss of the source."""
        return self._address.kind is not Kind.FILE

    def pictures(self, stop: threading.Event) -> Generator[Picture, None, None]:
        """Open the source and read pictures until it ends or ``stop`` is set.

        Args:
            stop: set to end.

        Yields:
            Pictures.

        Raises:
            BackendUnavailable: PyAV is missing.
            NotAllowed: the rules forbid the source.
            InvalidInput: its host is unknown.
            Exception: of FFmpeg.
        """
        again = True
        while again and not stop.is_set():
            empty = True
            with closing(self._open()) as container:
                for picture in self._decoded(container, stop):
                    empty = False
                    yield picture
            if empty and not self.is_live:
                raise InvalidInput(f"{self._address} has no picture that can be decoded")
            again = not self.is_live and self._settings.loop

    def explain(self, error: BaseException | None, pictures: int, waited_s: float) -> Failure:
        """Return the reason why the pictures ended.

        Args:
            error: raised by ``pictures``, or None.
            pictures: number of pictures before.
            waited_s: seconds since the last one.
        """
        if error is None:
            return ended(self._address)
        return explain(error, self._address, pictures > 0, waited_s, self._settings.open_s)

    # --- opening

    def _open(self) -> Any:
        kind, options = self._address.kind, self._options()
        if kind is Kind.DEVICE:
            self._policy.check(self._address)
            return open_container(self._address.path, self._settings, options, "v4l2")
        if kind is Kind.FILE:
            path = self._policy.local_path(self._address)
            return open_container(str(path), self._settings, options)
        urls = [self._address.url(host) for host in self._policy.resolve(self._address)]
        for url in urls[:-1]:
            try:
                return open_container(url, self._settings, options)
            except OSError:  # "localhost" is ::1 first, where few servers listen
                continue
        return open_container(urls[-1], self._settings, options)

    def _options(self) -> dict[str, str]:
        address = self._address
        options = self._codec_options()  # FFmpeg decodes while it opens, too
        if address.kind is Kind.DEVICE:
            return options
        if address.kind is Kind.FILE:
            return options | {"protocol_whitelist": "file", "format_whitelist": FORMATS}
        options |= {"protocol_whitelist": PROTOCOLS[address.scheme], "analyzeduration": ANALYZE_US}
        if address.scheme in ("rtsp", "rtsps"):
            transport = {"rtsp_transport": self._settings.transport}
            return options | transport | {"format_whitelist": RTSP_FORMATS}
        host = {"headers": f"Host: {address.place}\r\n", "max_redirects": "0"}
        return options | host | {"format_whitelist": HTTP_FORMATS}

    def _codec_options(self) -> dict[str, str]:
        """Return the limit that holds before memory for a picture is taken."""
        return {"max_pixels": str(self._settings.max_pixels)}

    # --- decoding

    def _decoded(self, container: Any, stop: threading.Event) -> Generator[Picture, None, None]:
        if not container.streams.video:
            kinds = sorted({stream.type for stream in container.streams})
            raise InvalidInput(f"{self._address} has no video, only {kinds}; choose another stream")
        stream = container.streams.video[0]
        pace = None if self.is_live else _Pace(stop)
        bad = 0
        self._check_size(stream.codec_context)
        stream.codec_context.options = self._codec_options()
        for packet in container.demux(stream):
            if stop.is_set():
                return
            try:
                frames = packet.decode()
                bad = 0
            except ValueError as error:  # InvalidDataError: a damaged packet
                if type(error).__name__ == "ArgumentError":  # of max_pixels
                    raise self._too_large("") from None
                bad += 1
                if bad > MAX_BAD_PACKETS:
                    raise
                continue
            for frame in frames:
                self._check_size(frame)
                if pace is not None:
                    pace.wait(frame.time)
                yield Picture(_converter(frame), (frame.width, frame.height))

    def _check_size(self, sized: Any) -> None:
        """Refuse pictures that are too large.

        Raises:
            TooLarge: with the size and the limit.
        """
        pixels = (sized.width or 0) * (sized.height or 0)
        if pixels > self._settings.max_pixels:
            raise self._too_large(f" ({sized.width}×{sized.height})")

    def _too_large(self, size: str) -> TooLarge:
        most = f"{self._settings.max_pixels:,}"
        return TooLarge(
            f"{self._address} has pictures of more than {most} pixels{size}, which are not "
            "decoded; choose the camera's second stream"
        )


class _Pace:
    """Delay of a file's pictures to the speed of their time stamps."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop, self._start = stop, 0.0

    def wait(self, time_s: float | None) -> None:
        now = time.monotonic()
        if time_s is None:
            return
        self._start = self._start or now - time_s
        if (delay_s := self._start + time_s - now) > 0:
            self._stop.wait(min(delay_s, 10.0))  # broken stamps may ask for hours


def _converter(frame: Any) -> Any:
    def convert() -> Image:
        image: Image = frame.to_ndarray(format="rgb24")
        return image

    return convert
