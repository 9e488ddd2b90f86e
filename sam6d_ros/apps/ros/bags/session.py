"""A node of its own context for a command that plays or records: nothing else in the process."""

from __future__ import annotations

import os
from types import TracebackType

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from sam6d_ros.apps.ros.children import PROFILE
from sam6d_ros.apps.ros.resources import shipped

SPIN_S = 0.1


class GraphSession:
    """One node, spun by its owner; signals are the owner's matter.

    Large images need our Fast DDS profile; one that the user has set stays.

    Args:
        name: of the node.
        use_sim_time: whether the node's clock is ``/clock``.
    """

    def __init__(self, name: str, use_sim_time: bool = False) -> None:
        if profile := shipped("config/fastdds.xml"):
            os.environ.setdefault(PROFILE, str(profile))
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node: Node = rclpy.create_node(
            name,
            context=self._context,
            parameter_overrides=[Parameter("use_sim_time", value=use_sim_time)],
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def spin_once(self, timeout_s: float = SPIN_S) -> None:
        """Handle what came, or wait for it."""
        self._executor.spin_once(timeout_sec=timeout_s)

    def __enter__(self) -> GraphSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)
