"""Description of one stream of a server, as clients give it and as it is stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sam6d_ros.errors import InvalidInput
from sam6d_ros.runtime.streams.address import Address, parse_address
from sam6d_ros.runtime.streams.source import ReadSettings
from sam6d_ros.runtime.streams.stream import StreamSettings

MAX_NAME = 64


@dataclass(frozen=True)
class StreamSpec:
    """One stream.

    Attributes:
        name: for people.
        url: address with credentials; never log or show it, but ``shown``.
        max_rate_hz: most pictures per second that are analysed and sent; None for all.
        transport: of RTSP: "tcp" or "udp".
        hardware: FFmpeg device type that decodes; empty for the CPU.
        loop: whether files and frame folders start again at their end.
        rate_hz: pictures per second of a frame folder.
        model: registered model whose boxes or poses are drawn; empty for none.
        threshold: lowest score that is drawn; None is that of the model.
    """

    name: str
    url: str = field(repr=False)
    max_rate_hz: float | None = None
    transport: str = "tcp"
    hardware: str = ""
    loop: bool = True
    rate_hz: float = 5.0
    model: str = ""
    threshold: float | None = None

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            _check_type(item.name, getattr(self, item.name), str(item.type))
        if not 1 <= len(self.name.strip()) <= MAX_NAME or not self.name.isprintable():
            raise InvalidInput(
                f"name is {self.name[:MAX_NAME]!r}; expected 1 to {MAX_NAME} printable characters"
            )
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InvalidInput(f"threshold is {self.threshold}; expected 0 to 1")
        self.address, self.reading, self.settings  # noqa: B018  raise if a value is unusable

    @property
    def address(self) -> Address:
        """Parsed address."""
        return parse_address(self.url)

    @property
    def shown(self) -> str:
        """Address without credentials."""
        return str(self.address)

    @property
    def reading(self) -> ReadSettings:
        """Settings of the source."""
        return ReadSettings(self.transport, self.hardware, self.loop, self.rate_hz)

    @property
    def settings(self) -> StreamSettings:
        """Settings of the stream."""
        return StreamSettings(self.max_rate_hz)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], old: StreamSpec | None = None) -> StreamSpec:
        """Return the description with these fields.

        Args:
            values: by name of the field.
            old: description that is edited; an address equal to its ``shown`` keeps its secrets.

        Raises:
            InvalidInput: a field is unknown, missing or unusable.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InvalidInput(f"a stream has no field {unknown[0]!r}; expected {sorted(known)}")
        if missing := {"name", "url"} - set(values):
            raise InvalidInput(f"a stream needs the field {sorted(missing)[0]!r}")
        if old is not None and values["url"] == old.shown:
            values = {**values, "url": old.url}
        return cls(**values)


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
}


def _check_type(name: str, value: Any, declared: str) -> None:
    """Refuse a value of another type than declared.

    Raises:
        InvalidInput: with the type.
    """
    types = _TYPES[declared]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise InvalidInput(f"{name} is a {type(value).__name__}; expected {declared}")
