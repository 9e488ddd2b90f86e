"""Choice of grasps by the direction from which the gripper comes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ANY_ANGLE = 3.1416  # half a turn: every approach is allowed
# 69° from straight down: no gripper comes from below a level table or along it.
FROM_ABOVE = 1.2
# Name of an axis of the base frame → its number.
AXES = {f"{sign}{axis}": index for index, axis in enumerate("xyz") for sign in "+-"}


def approaches_along(axis: str, max_angle: float, base_from_cam: Array) -> Callable[[Array], bool]:
    """Return the condition that a grasp approaches along an axis of the base frame.

    Args:
        axis: one of ``AXES``.
        max_angle: largest angle between the approach and the axis, radians.
        base_from_cam: (4, 4).

    Returns:
        A function of ``cam_from_grip``, (4, 4), whose z is the approach.
    """
    along = base_from_cam[AXES[axis], :3] * (1 if axis[0] == "+" else -1)
    least = np.cos(max_angle)
    return lambda cam_from_grip: bool(along @ cam_from_grip[:3, 2] >= least)
