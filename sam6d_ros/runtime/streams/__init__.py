"""Video streams: RTSP, HTTP MJPEG, files, cameras and frame folders; newest picture only.

A ``Stream`` decodes each picture once in a thread of its own; its viewers get the newest picture
and never slow it down. ``StreamSet`` keeps the streams of a server in a file.
"""

from sam6d_ros.runtime.streams.address import Address, parse_address, redacted
from sam6d_ros.runtime.streams.newest import Newest, Viewer
from sam6d_ros.runtime.streams.opening import open_source
from sam6d_ros.runtime.streams.picture import Picture
from sam6d_ros.runtime.streams.policy import SourcePolicy, parse_networks
from sam6d_ros.runtime.streams.source import ReadSettings, Source
from sam6d_ros.runtime.streams.stream import Stream, StreamSettings, StreamState, StreamStatus

__all__ = [
    "Address",
    "Newest",
    "Picture",
    "ReadSettings",
    "Source",
    "SourcePolicy",
    "Stream",
    "StreamSettings",
    "StreamState",
    "StreamStatus",
    "Viewer",
    "open_source",
    "parse_address",
    "parse_networks",
    "redacted",
]
