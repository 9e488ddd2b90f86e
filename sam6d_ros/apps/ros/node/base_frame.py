"""Pose of the camera in the robot's frame at the stamp of an image, by tf2."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException, TransformListener

from sam6d_ros.apps.ros.conversions import stamp_problem
from sam6d_ros.apps.ros.conversions.rigid import matrix_from_transform
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.errors import NotReady
from sam6d_ros.runtime.status import HostStatus

TF_TIMEOUT = Parameter(
    "tf_timeout_s",
    0.2,
    "longest wait for the transform of an image's stamp, seconds",
    limits=(0.0, 10.0),
)
PARAMETERS = (
    Parameter(
        "base_frame",
        "",
        "TF frame of the robot or cell, in which results are wanted too; empty: none",
    ),
    TF_TIMEOUT,
)


class Transforms:
    """TF as one node receives it, for all who look transforms up there.

    Args:
        node: that listens.
    """

    def __init__(self, node: Node) -> None:
        self._node, self._users = node, 0
        self._buffer: Buffer | None = None
        self._listener: TransformListener | None = None

    @property
    def buffer(self) -> Buffer:
        """The transforms."""
        # Once per node: the original makes a service with it that it never destroys.
        if self._buffer is None:
            self._buffer = Buffer(node=self._node)
        return self._buffer

    def open(self) -> None:
        """Listen."""
        self._users += 1
        if self._listener is None:
            self._listener = TransformListener(self.buffer, self._node)

    def close(self) -> None:
        """Listen no more once all who opened have closed."""
        self._users -= 1
        if self._listener is not None and not self._users:
            self._listener.unregister()
            self._listener = None
            self.buffer.clear()


class BaseFrame:
    """One frame of TF that a parameter names; without effect if the parameter is empty.

    Args:
        node: has ``PARAMETERS`` and the parameter.
        status: of the node; takes the warnings.
        report: called with the problem of each lookup, empty if there is none (default: it is the
            node's input problem).
        transforms: of the node, if others use them too.
        parameter: with the name of the frame.
    """

    def __init__(
        self,
        node: Node,
        status: HostStatus,
        report: Callable[[str], None] | None = None,
        transforms: Transforms | None = None,
        parameter: str = "base_frame",
    ) -> None:
        self._report, self._parameter = report or status.input_problem, parameter
        self.name: str = node.get_parameter(parameter).value
        self._status, self._is_open = status, False
        self._timeout = Duration(seconds=node.get_parameter("tf_timeout_s").value)
        self._transforms = transforms or Transforms(node)

    def open(self) -> None:
        """Listen."""
        if self.name and not self._is_open:
            self._transforms.open()
            self._is_open = True

    def close(self) -> None:
        """Listen no more."""
        if self.name and self._is_open:
            self._is_open = False
            self._report("")
            self._transforms.close()

    def from_camera(self, header: Header) -> NDArray[np.float64] | None:
        """Return ``base_from_cam`` (4, 4) at an image's stamp; None, with a warning, if it is
        unknown.

        Blocks up to ``tf_timeout_s``: for the compute thread, while the executor listens.
        """
        if not self.name:
            return None
        try:
            found = self.located(header)
        except NotReady as error:
            if self._is_open:  # else the work is of before a deactivation
                self._report(str(error))
                self._status.log(logging.WARNING, str(error), key=self._parameter)
            return None
        self._report("")
        return found

    def located(self, header: Header) -> NDArray[np.float64]:
        """Return ``base_from_cam`` (4, 4) at an image's stamp; blocks as ``from_camera``.

        Raises:
            NotReady: it is unknown; names both frames.
        """
        problem = stamp_problem(header.stamp)
        if not problem:
            stamp, buffer = Time.from_msg(header.stamp), self._transforms.buffer
            try:
                found = buffer.lookup_transform(
                    self.name, header.frame_id, stamp, timeout=self._timeout
                )
                return matrix_from_transform(found.transform)
            except TransformException as error:
                problem = str(error).strip()
        raise NotReady(
            f"no transform from the camera's frame {header.frame_id!r} to {self._parameter} "
            f"{self.name!r} at the image's stamp: {problem}. Publish the robot's TF and the "
            "place of its camera, or raise tf_timeout_s"
        )
