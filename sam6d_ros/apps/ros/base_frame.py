"""Where the camera was in the robot's frame when an image was taken, by tf2."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException, TransformListener

from sam6d_ros.apps.ros.conversions.rigid import matrix_from_transform
from sam6d_ros.apps.ros.parameters import Parameter
from sam6d_ros.runtime.status import HostStatus

PARAMETERS = (
    Parameter(
        "base_frame",
        "",
        "TF frame of the robot or cell, in which results are wanted too; empty: none",
    ),
    Parameter(
        "tf_timeout_s",
        0.2,
        "longest wait for the transform from the camera to base_frame, seconds",
        limits=(0.0, 10.0),
    ),
)


class BaseFrame:
    """Listens to TF while it is open, unless the parameter ``base_frame`` is empty."""

    def __init__(self, node: Node, status: HostStatus) -> None:
        self.name: str = node.get_parameter("base_frame").value
        self._node, self._status, self._is_open = node, status, False
        self._timeout = Duration(seconds=node.get_parameter("tf_timeout_s").value)
        if self.name:
            # Once per node: the original makes a service with it that it never destroys.
            self._buffer = Buffer(node=node)

    def open(self) -> None:
        """Listen."""
        if self.name:
            self._listener = TransformListener(self._buffer, self._node)
            self._is_open = True

    def close(self) -> None:
        """Listen no more."""
        if self.name:
            self._is_open = False
            self._listener.unregister()
            self._buffer.clear()

    def from_camera(self, header: Header) -> NDArray[np.float64] | None:
        """(4, 4) ``base_from_cam`` at an image's stamp; None, with a warning, when it is unknown.

        Blocks up to ``tf_timeout_s``: for the compute thread, while the executor listens.
        """
        if not self.name:
            return None
        stamp = Time.from_msg(header.stamp)
        try:
            found = self._buffer.lookup_transform(
                self.name, header.frame_id, stamp, timeout=self._timeout
            )
        except TransformException as error:
            if self._is_open:  # else the work is of before a deactivation
                self._warn(header, str(error))
            return None
        self._status.input_problem("")
        return matrix_from_transform(found.transform)

    def _warn(self, header: Header, error: str) -> None:
        """Say what is missing, in the log (throttled) and in the diagnostics."""
        problem = (
            f"no transform from the camera's frame {header.frame_id!r} to base_frame "
            f"{self.name!r} at the image's stamp: {error.strip()}. Publish the robot's TF and the "
            "place of its camera, or raise tf_timeout_s"
        )
        self._status.input_problem(problem)
        self._status.log(logging.WARNING, problem, key="base_frame")
