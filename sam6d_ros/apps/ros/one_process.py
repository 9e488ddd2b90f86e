"""``pipeline``: both nodes in one process, for small robots.

Masks and objects then go from node to node by default; every other topic is remapped as usual.
"""

from __future__ import annotations

from sam6d_ros.apps.interrupts import end_process
from sam6d_ros.apps.ros.node.missing_ros import exit_without_ros

if __name__ == "__main__":
    exit_without_ros("pipeline")  # before the imports that need ROS 2

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from weakref import WeakValueDictionary

from rclpy.node import Node

from sam6d_ros.apps.ros.node import spin, topics
from sam6d_ros.apps.ros.node.engine_turn import EngineTurn
from sam6d_ros.apps.ros.node.spec import EngineBuilder
from sam6d_ros.apps.ros.pose_node import PoseNode
from sam6d_ros.apps.ros.segmentation_node import SegmentationNode
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.engine import Engine

REMAPPINGS = (
    "--ros-args",
    *("-r", f"{topics.MASKS}:=segmentation_node/masks"),
    *("-r", f"{topics.FOLLOW_OBJECTS}:=segmentation_node/objects"),
)
SHARED_ROLES = ("segmentation", "pose")


def shared(build_engine: EngineBuilder) -> EngineBuilder:
    """Return a builder that gives nodes one engine if their specs differ by the half only.

    It lives as long as one of them keeps it. Their hosts take turns with it. A node that is
    configured again while another one keeps the engine gets the objects in force, with those that
    were added and without those that were removed at run time; the objects file of its parameter
    is read again only if no node keeps the engine.
    """
    engines_in_use: WeakValueDictionary[EngineSpec, Engine] = WeakValueDictionary()
    one_at_a_time = Lock()

    def build(spec: EngineSpec) -> Engine:
        if spec.role not in SHARED_ROLES:
            return build_engine(spec)
        both = replace(spec, role="full")
        with one_at_a_time:
            engine = engines_in_use.get(both)
            if engine is None:
                engine = engines_in_use[both] = build_engine(both)
            return engine

    return build


def factories(
    build_engine: EngineBuilder = build_engine,
) -> list[Callable[[], Node]]:
    """Return the factories of the two nodes around one engine."""
    build_shared, turn = shared(build_engine), EngineTurn()
    return [
        lambda: SegmentationNode(build_shared, turn=turn),
        lambda: PoseNode(build_shared, REMAPPINGS, turn),
    ]


def main(args: Sequence[str] | None = None, build_engine: EngineBuilder = build_engine) -> int:
    """Entry point of the executable."""
    return spin.run(factories(build_engine), args)


if __name__ == "__main__":
    end_process(main())
