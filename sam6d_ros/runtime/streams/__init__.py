"""Video streams: RTSP, HTTP MJPEG, files, cameras and frame folders; newest picture only.

A ``Stream`` decodes each picture once in a thread of its own; its viewers get the newest picture
and never slow it down. ``StreamSet`` keeps the streams of a server in a file.
"""

from sam6d_ros.runtime.streams.address import Address, parse_address, redacted
from sam6d_ros.runtime.streams.analysis import Analysis, by_model, detection
from sam6d_ros.runtime.streams.collection import Entry, StreamSet, Trial
from sam6d_ros.runtime.streams.live import Live, LivePicture, LiveStatus, encode_jpeg
from sam6d_ros.runtime.streams.newest import Newest, Viewer
from sam6d_ros.runtime.streams.opening import open_source
from sam6d_ros.runtime.streams.picture import Picture
from sam6d_ros.runtime.streams.policy import Network, SourcePolicy, parse_networks
from sam6d_ros.runtime.streams.source import ReadSettings, Source
from sam6d_ros.runtime.streams.spec import StreamSpec
from sam6d_ros.runtime.streams.stream import Stream, StreamSettings, StreamState, StreamStatus

__all__ = [
    "Address",
    "Analysis",
    "Entry",
    "Live",
    "LivePicture",
    "LiveStatus",
    "Network",
    "Newest",
    "Picture",
    "ReadSettings",
    "Source",
    "SourcePolicy",
    "Stream",
    "StreamSet",
    "StreamSettings",
    "StreamSpec",
    "StreamState",
    "StreamStatus",
    "Trial",
    "Viewer",
    "by_model",
    "detection",
    "encode_jpeg",
    "open_source",
    "parse_address",
    "parse_networks",
    "redacted",
]
