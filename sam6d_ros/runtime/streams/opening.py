"""Address → source."""

from __future__ import annotations

from collections.abc import Callable

from sam6d_ros.runtime.streams.address import Address, Kind
from sam6d_ros.runtime.streams.bag import BagSource
from sam6d_ros.runtime.streams.folder import FolderSource
from sam6d_ros.runtime.streams.policy import SourcePolicy
from sam6d_ros.runtime.streams.source import ReadSettings, Source
from sam6d_ros.runtime.streams.video import VideoSource

SOURCES: dict[Kind, Callable[[Address, SourcePolicy, ReadSettings], Source]] = {
    Kind.FRAMES: FolderSource,
    Kind.BAG: BagSource,
}


def open_source(
    address: Address, policy: SourcePolicy, settings: ReadSettings | None = None
) -> Source:
    """Return the source of an address; it is opened when it is first read.

    Args:
        address: parsed.
        policy: rules, applied at each attempt to open the source.
        settings: of reading.
    """
    kind = SOURCES.get(address.kind, VideoSource)
    return kind(address, policy, settings or ReadSettings())
