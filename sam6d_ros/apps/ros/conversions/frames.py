"""``Frame`` ↔ camera messages; ``frames.messages`` reads them."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from sam6d_ros.frames.messages.frames import (
    distortion_warning,
    frame_from_messages,
    intrinsics_from_camera_info,
    rgb_from_message,
    stamp_ns_of,
)
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.units import NS_PER_S

__all__ = [
    "camera_info_from_intrinsics",
    "distortion_warning",
    "frame_from_messages",
    "header_from",
    "intrinsics_from_camera_info",
    "rgb_from_message",
    "stamp_ns_of",
    "stamp_problem",
]


def stamp_problem(stamp: Time) -> str:
    """Return why a stamp is none; rclpy raises on a negative one, as other programs may."""
    if stamp.sec >= 0 and stamp.nanosec < NS_PER_S:
        return ""
    return (
        f"stamp {stamp.sec} s, {stamp.nanosec} ns: expected seconds of 0 or more and "
        "nanoseconds below 1e9; correct the clock of the program that publishes it"
    )


def header_from(stamp_ns: int, frame_id: str) -> Header:
    """The header of a stamp in nanoseconds and a frame name."""
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return header


def camera_info_from_intrinsics(camera: CameraIntrinsics, header: Header) -> CameraInfo:
    """CameraInfo of an undistorted camera."""
    k = camera.matrix
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=k.ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=np.hstack([k, np.zeros((3, 1))]).ravel().tolist(),
    )
