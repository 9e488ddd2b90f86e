"""Results of grasp planning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Grasp:
    """One way to grasp one object.

    The gripper's frame has x along the closing direction, z along the approach, and its origin
    midway between the pads where they touch. A turn by half about z is the same grasp.

    Attributes:
        name: unique among the object's grasps.
        obj_from_grip: (4, 4) pose of the gripper's frame in the object (CAD) frame, metres.
        width: distance of the contacts, metres.
        score: in [0, 1].
        pregrasp: how far back along the approach the gripper starts, metres.
    """

    name: str
    obj_from_grip: Array
    width: float
    score: float
    pregrasp: float

    @property
    def obj_from_pregrasp(self) -> Array:
        """(4, 4) pose from which the gripper moves straight along the approach to the grasp."""
        back = np.eye(4)
        back[2, 3] = -self.pregrasp
        return self.obj_from_grip @ back


@dataclass(frozen=True)
class GraspSet:
    """The grasps of one object in the order in which to prefer them, the best first.

    Sampled ones differ as much as they can, so that the first few come from several sides.
    ``reason`` states why there is none.
    """

    grasps: tuple[Grasp, ...] = ()
    reason: str = ""
