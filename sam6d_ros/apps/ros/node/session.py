"""A node of its own context, which disturbs nothing else in the process (commands, the demo)."""

from __future__ import annotations

import os
from typing import TypeVar

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from sam6d_ros.apps.resources import shipped
from sam6d_ros.apps.ros.node.graph import PROFILE

Session = TypeVar("Session", bound="GraphSession")

SPIN_S = 0.1


class GraphSession:
    """One node, spun by its owner; signals are the owner's matter.

    Large images need our Fast DDS profile; one that the user has set stays.

    Args:
        name: of the node.
        use_sim_time: whether the node's clock is ``/clock``.
        domain_id: DDS domain of the graph; None: the environment's.
    """

    def __init__(self, name: str, use_sim_time: bool = False, domain_id: int | None = None) -> None:
        if profile := shipped("config/fastdds.xml"):
            os.environ.setdefault(PROFILE, str(profile))
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
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

    def __enter__(self: Session) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)
