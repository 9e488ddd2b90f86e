"""A two-finger gripper as boxes, and what is asked of sampled grasps."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidConfig

Array = NDArray[np.float64]

# How far a pad and a scanned surface give way before they count as in collision.
GIVE_M = 0.002


@dataclass(frozen=True)
class Gripper:
    """Measures in metres; the defaults are about those of a Franka Hand.

    Attributes:
        max_width: largest opening between the pads.
        clearance: free space wanted between each pad and the object on the way in.
        finger_length: from the palm to the contact (along z).
        finger_tip: how far the fingers reach beyond the contact (along z).
        finger_width: of a finger and its pad (along y).
        finger_thickness: of a finger (along x).
        palm_width: of the body behind the fingers (along y); along x it spans the open fingers.
        palm_height: of that body (along z).
        friction: coefficient between pad and object; a contact may lean by its arc tangent.
    """

    max_width: float = 0.08
    clearance: float = 0.005
    finger_length: float = 0.045
    finger_tip: float = 0.009
    finger_width: float = 0.02
    finger_thickness: float = 0.012
    palm_width: float = 0.06
    palm_height: float = 0.066
    friction: float = 0.5

    def __post_init__(self) -> None:
        """Raises InvalidConfig when a measure is not positive, or nothing fits between the pads."""
        for row in fields(self):
            value = getattr(self, row.name)
            if not (np.isfinite(value) and value > 0):
                raise InvalidConfig(f"gripper: {row.name} is {value}; expected a number above 0")
        if self.usable_width <= 0:
            raise InvalidConfig(
                f"gripper: max_width {self.max_width} leaves nothing between two clearances of "
                f"{self.clearance}; expected more than {2 * self.clearance}"
            )

    @property
    def usable_width(self) -> float:
        """The widest object that the open fingers can pass with clearance, metres."""
        return self.max_width - 2 * self.clearance

    @property
    def friction_angle(self) -> float:
        """Largest angle in radians between closing direction and surface normal."""
        return float(np.arctan(self.friction))

    def swept_boxes(self, width: float, approach: float) -> Array:
        """Return the swept volume of approach and closing: (5, 2, 3) corners (low, high).

        Gripper frame, metres: two fingers that come open from ``approach`` behind, the same two
        that then close upon ``width``, and the palm.
        """
        opened = width / 2 + self.clearance
        outside, closed = opened + self.finger_thickness, width / 2 + GIVE_M
        half, tip, back = self.finger_width / 2, self.finger_tip, -self.finger_length
        palm_x, palm_y = self.max_width / 2 + self.finger_thickness, self.palm_width / 2
        rear = back - self.palm_height - approach
        boxes = [[[-palm_x, -palm_y, rear], [palm_x, palm_y, back - GIVE_M]]]
        for inner, outer, start in ((opened, outside, back - approach), (closed, opened, back)):
            boxes.append([[inner, -half, start], [outer, half, tip]])
            boxes.append([[-outer, -half, start], [-inner, half, tip]])
        return np.array(boxes)


@dataclass(frozen=True)
class SamplingConfig:
    """Settings of the sampling of grasps.

    Attributes:
        samples: points on the surface at which a grasp is tried.
        directions: approach directions tried around each closing axis.
        count: most grasps kept per object.
        pregrasp: how far back the gripper starts, metres; the way from there must be free.
        seed: of the random numbers.
    """

    samples: int = 1000
    directions: int = 8
    count: int = 30
    pregrasp: float = 0.08
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises InvalidConfig when a number is not positive."""
        if min(self.samples, self.directions, self.count) < 1 or not self.pregrasp > 0:
            raise InvalidConfig(f"{self}: expected numbers above 0")


def key_parts(gripper: Gripper, config: SamplingConfig) -> list[str]:
    """All the settings as texts, for the key of the cache."""
    return [repr(value) for value in (*astuple(gripper), *astuple(config))]
