"""Protocol and settings of the sources of streams."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from sam6d_ros.errors import InvalidConfig
from sam6d_ros.runtime.streams.failures import Failure
from sam6d_ros.runtime.streams.picture import Picture

TRANSPORTS = ("tcp", "udp")
HARDWARE = ("", "cuda", "qsv", "drm", "amf", "vaapi")


@dataclass(frozen=True)
class ReadSettings:
    """Settings of reading one source.

    Attributes:
        transport: of RTSP: "tcp", or "udp".
        hardware: FFmpeg device type that decodes ("cuda", "vaapi"); empty for the CPU.
        loop: whether files and frame folders start again at their end.
        rate_hz: pictures per second of a frame folder.
        open_s, read_s: seconds until a silent host counts as lost; a stall is noticed by FFmpeg
            after up to twice ``read_s``.
        max_pixels: largest picture.
    """

    transport: str = "tcp"
    hardware: str = ""
    loop: bool = True
    rate_hz: float = 5.0
    open_s: float = 5.0
    read_s: float = 2.0
    max_pixels: int = 4096 * 2304

    def __post_init__(self) -> None:
        if self.transport not in TRANSPORTS:
            raise InvalidConfig(f"transport is {self.transport!r}; expected one of {TRANSPORTS}")
        if self.hardware not in HARDWARE:
            raise InvalidConfig(f"hardware is {self.hardware!r}; expected one of {HARDWARE}")
        for name in ("rate_hz", "open_s", "read_s"):
            value = getattr(self, name)
            if not 0.01 <= value <= 1000:
                raise InvalidConfig(f"{name} is {value}; expected 0.01 to 1000")


class Source(Protocol):
    """Something that pictures are read from, again and again."""

    @property
    def is_live(self) -> bool:
        """Whether the end of the pictures is a loss of the source."""

    def pictures(self, stop: threading.Event) -> Generator[Picture, None, None]:
        """Open the source and yield pictures until it ends or ``stop`` is set.

        Args:
            stop: set to end.

        Yields:
            Pictures.

        Raises:
            Exception: of any kind; ``explain`` gives the reason.
        """

    def explain(self, error: BaseException | None, pictures: int, waited_s: float) -> Failure:
        """Return why the pictures ended.

        Args:
            error: as raised, or None if they just ended.
            pictures: number that came before.
            waited_s: seconds since the last picture, or since the attempt began.
        """
