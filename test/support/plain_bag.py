"""Bags of RGB-D frames, written by rosbags alone: no ROS is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from sam6d_ros.types import Frame

RGB, DEPTH, INFO = "/cam/color/image", "/cam/depth/image", "/cam/color/camera_info"
STORE = get_typestore(Stores.LATEST)
START_NS = 1_700_000_000_000_000_000
TOOL_FROM_CAM = np.array([[0, -1, 0, 0.03], [1, 0, 0, 0], [0, 0, 1, 0.06], [0, 0, 0, 1.0]])


def _new(name: str, **fields: Any) -> Any:
    return STORE.types[name](**fields)


def _header(stamp_ns: int) -> Any:
    stamp = _new("builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return _new("std_msgs/msg/Header", stamp=stamp, frame_id="cam")


def _image(header: Any, pixels: np.ndarray, encoding: str) -> Any:
    height, width = pixels.shape[:2]
    data = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8)
    return _new(
        "sensor_msgs/msg/Image",
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=len(data) // height,
        data=data,
    )


def _compressed(header: Any, pixels: np.ndarray, text: str, before: bytes = b"") -> Any:
    data = before + cv2.imencode(".png", pixels)[1].tobytes()
    kind, array = "sensor_msgs/msg/CompressedImage", np.frombuffer(data, np.uint8)
    return _new(kind, header=header, format=text, data=array)


def _info(header: Any, frame: Frame) -> Any:
    region = _new(
        "sensor_msgs/msg/RegionOfInterest",
        **dict.fromkeys(("x_offset", "y_offset", "height", "width"), 0),
        do_rectify=False,
    )
    k = frame.camera.matrix
    return _new(
        "sensor_msgs/msg/CameraInfo",
        header=header,
        height=frame.camera.height,
        width=frame.camera.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=k.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([k, np.zeros((3, 1))]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


def write_bag(
    path: Path,
    frames: Sequence[Frame],
    period_s: float = 0.05,
    compressed: bool = False,
    depth_delay_s: float = 0.0,
    plugin: StoragePlugin = StoragePlugin.MCAP,
    world_from_cam: Sequence[np.ndarray] = (),
) -> Path:
    """Write frames; depth in 32FC1 metres, or in compressed millimetres.

    Args:
        depth_delay_s: difference of the stamps of depth and colour.
        world_from_cam: (4, 4) of each frame, as `/tf` of "tool" in "world" and `/tf_static` of
            "cam" in "tool".
    """
    image = "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image"
    kinds = {RGB: image, DEPTH: image, INFO: "sensor_msgs/msg/CameraInfo"}
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        topics = {
            name: writer.add_connection(name, kind, typestore=STORE) for name, kind in kinds.items()
        }
        for index, frame in enumerate(frames):
            stamp_ns = START_NS + round(index * period_s * 1e9)
            header, late = _header(stamp_ns), _header(stamp_ns + round(depth_delay_s * 1e9))
            if compressed:
                bgr, depth_mm = frame.rgb[..., ::-1], np.rint(1e3 * frame.depth).astype(np.uint16)
                rgb = _compressed(header, bgr, "rgb8; png compressed bgr8")
                depth = _compressed(late, depth_mm, "16UC1; compressedDepth png", bytes(12))
            else:
                rgb = _image(header, frame.rgb, "rgb8")
                depth = _image(late, frame.depth.astype("<f4"), "32FC1")
            for name, message in ((RGB, rgb), (DEPTH, depth), (INFO, _info(header, frame))):
                data = STORE.serialize_cdr(message, kinds[name])
                writer.write(topics[name], stamp_ns, data)
        if len(world_from_cam):
            _write_transforms(writer, world_from_cam, period_s)
    return path


def _write_transforms(
    writer: Writer, world_from_cam: Sequence[np.ndarray], period_s: float
) -> None:
    kind = "tf2_msgs/msg/TFMessage"
    topics = [writer.add_connection(n, kind, typestore=STORE) for n in ("/tf", "/tf_static")]
    rows = [(topics[1], START_NS, transform("tool", "cam", TOOL_FROM_CAM, START_NS))]
    cam_from_tool = np.linalg.inv(TOOL_FROM_CAM)
    for index, pose in enumerate(world_from_cam):
        stamp_ns = START_NS + round(index * period_s * 1e9)
        rows.append(
            (topics[0], stamp_ns, transform("world", "tool", pose @ cam_from_tool, stamp_ns))
        )
    for topic, stamp_ns, stamped in rows:
        message = _new(kind, transforms=[stamped])
        writer.write(topic, stamp_ns, STORE.serialize_cdr(message, kind))


def transform(parent: str, child: str, pose: np.ndarray, stamp_ns: int) -> Any:
    """A `geometry_msgs/TransformStamped`."""
    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
    shift = dict(zip("xyz", pose[:3, 3].tolist(), strict=True))
    value = _new(
        "geometry_msgs/msg/Transform",
        translation=_new("geometry_msgs/msg/Vector3", **shift),
        rotation=_new("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w),
    )
    header = replace(_header(stamp_ns), frame_id=parent)
    kind = "geometry_msgs/msg/TransformStamped"
    return _new(kind, header=header, child_frame_id=child, transform=value)
