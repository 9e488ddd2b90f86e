"""``pipeline``: both nodes in one process, for small robots.

Masks then go from node to node by default; every other topic is remapped as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.node import Node

from sam6d_ros.apps.ros import engines, spin
from sam6d_ros.apps.ros.pose_node import PoseNode
from sam6d_ros.apps.ros.segmentation_node import SegmentationNode

MASKS_REMAPPING = ("--ros-args", "-r", "~/masks:=segmentation_node/masks")


def factories(
    build_engine: engines.EngineBuilder = engines.build,
) -> list[Callable[[], Node]]:
    """What makes the two nodes."""
    return [
        lambda: SegmentationNode(build_engine),
        lambda: PoseNode(build_engine, cli_args=MASKS_REMAPPING),
    ]


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return spin.run(factories(), args)


if __name__ == "__main__":
    raise SystemExit(main())
