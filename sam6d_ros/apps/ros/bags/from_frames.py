"""A folder of RGB-D frames (a BOP scene) as a bag, as a camera driver would have recorded it."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo, Image

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.bags.definitions import type_name_of
from sam6d_ros.apps.ros.bags.writer import BagWriter
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.frames.recordings import Recording
from sam6d_ros.geometry.units import NS_PER_S

NAMESPACE = "/camera/"
FRAME_ID = "camera_optical_frame"
TOPICS = {NAMESPACE + topics.REPLAY_RGB: Image, NAMESPACE + topics.REPLAY_DEPTH: Image}
INFO = NAMESPACE + topics.REPLAY_CAMERA_INFO


def write_frames(recording: Recording, writer: BagWriter, start_ns: int, rate_hz: float) -> None:
    """Write all frames, the first one stamped ``start_ns``.

    Depth is written as 32FC1: millimetres would round the values of the files.
    """
    for topic, kind in {**TOPICS, INFO: CameraInfo}.items():
        writer.add_topic(topic, type_name_of(kind), [RESULTS])
    rgb, depth = TOPICS
    for index in range(len(recording)):
        frame = recording.frame(index)
        stamp_ns = start_ns + round(index * NS_PER_S / rate_hz)
        header = conversions.header_from(stamp_ns, FRAME_ID)
        writer.write(INFO, stamp_ns, conversions.camera_info_from_intrinsics(frame.camera, header))
        depth_image = conversions.depth_image_from_metres(frame.depth, header, "32FC1")
        writer.write(depth, stamp_ns, depth_image)
        writer.write(rgb, stamp_ns, conversions.image_from_rgb(frame.rgb, header))
