"""Order by how well a part can be picked."""

import numpy as np

from sam6d_ros.geometry import se3
from sam6d_ros.runtime.pickable import pickable_first
from sam6d_ros.types import PoseEstimate, PoseEstimates


def part(name, visible, z, score=0.9):
    pose = se3.from_rotation_translation(np.eye(3), [0.0, 0.0, z])
    return PoseEstimate(name, score, pose, visible=visible)


def test_parts_that_nothing_hides_come_first_and_the_upper_ones_of_these():
    parts = (
        part("covered", 0.4, 0.5, 0.99),
        part("low", 0.97, 0.8),
        part("top", 0.96, 0.6, 0.6),
        part("half", 0.7, 0.4),
    )
    found = pickable_first(PoseEstimates(parts, 42, "eye"))
    assert [pose.class_id for pose in found.items] == ["top", "low", "half", "covered"]
    assert (found.stamp_ns, found.frame_id) == (42, "eye")
