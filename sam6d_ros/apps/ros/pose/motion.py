"""Motion of the camera between the frames of one goal, from TF, and the fusion of its views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from sam6d_ros.apps.ros.node.base_frame import BaseFrame, Transforms
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.runtime.fusion import accepted, accepted_fusion
from sam6d_ros.runtime.views import View, fuse_views
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.types import Frame, PoseEstimates

FIXED_FRAME = "fixed_frame"
PARAMETERS = (
    Parameter(
        FIXED_FRAME,
        "",
        "TF frame in which the objects are at rest, for ~/estimate_poses with several frames of a "
        "camera that moves; empty: the camera is at rest",
    ),
)


@dataclass(frozen=True)
class Seen:
    """One frame of a goal.

    Attributes:
        frame: the RGB-D frame.
        poses: its estimates.
        fixed_from_cam: (4, 4) pose of the camera in the fixed frame, metres; None without one.
    """

    frame: Frame
    poses: PoseEstimates
    fixed_from_cam: NDArray[np.float64] | None


class CameraMotion:
    """Pose of the camera in the ``fixed_frame``; none is looked up if the parameter is empty.

    Args:
        node: has ``PARAMETERS`` and those of ``base_frame``.
        transforms: of the node.
    """

    def __init__(self, node: ManagedNode, transforms: Transforms) -> None:
        self._fixed = BaseFrame(node, node.status, lambda _: None, transforms, FIXED_FRAME)

    def open(self) -> None:
        """Subscribe to TF."""
        self._fixed.open()

    def close(self) -> None:
        """Listen no more."""
        self._fixed.close()

    def place(self, header: Header) -> NDArray[np.float64] | None:
        """Return fixed_from_cam (4, 4) of an image; None if there is no fixed frame.

        Blocks up to ``tf_timeout_s``: for the compute thread.

        Raises:
            NotReady: TF has no such transform.
        """
        return self._fixed.located(header) if self._fixed.name else None


def fused(
    seen: Sequence[Seen], models: Mapping[str, ObjectModel], acceptance: Acceptance
) -> tuple[PoseEstimates, int]:
    """Return the accepted poses of all frames, and the number of those that too few agree on.

    Args:
        seen: frames of one camera, in their order; with a pose of each where the camera moves.
        models: the objects by name.
        acceptance: thresholds and limits.
    """
    views = [
        View(one.frame, one.poses, one.fixed_from_cam)
        for one in seen
        if one.fixed_from_cam is not None
    ]
    if len(views) < len(seen):
        return accepted_fusion([one.poses for one in seen], models, acceptance)
    return accepted(fuse_views(views, models), acceptance)
