"""Grasps from above: the condition, and the demo scene, whose table is no way in."""

import numpy as np
import pytest

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.ros.conversions.grasps import place_grasps
from sam6d_ros.evaluation.synthetic.scene import make_scene
from sam6d_ros.geometry import se3
from sam6d_ros.grasps.approach import FROM_ABOVE, approaches_along
from sam6d_ros.grasps.gripper import Gripper, SamplingConfig
from sam6d_ros.grasps.plan import sample_grasps
from sam6d_ros.types import PoseEstimate

QUICK = SamplingConfig(samples=200, directions=8)


@pytest.mark.parametrize(("axis", "allowed"), [("-z", 0.5), ("+x", 0.0)])
def test_the_angle_is_between_approach_and_axis_of_the_base(axis, allowed):
    base_from_cam = se3.exp([1, 2, 3, 0.3, -0.8, 2.0])
    straight = {"-z": se3.exp([0, 0, 0, np.pi, 0, 0]), "+x": se3.exp([0, 0, 0, 0, np.pi / 2, 0])}
    passes = approaches_along(axis, 0.5, base_from_cam)
    for angle, expected in ((0.0, True), (0.49, True), (0.51, False), (3.0, False)):
        base_from_grip = straight[axis] @ se3.exp([0, 0, 0, angle, 0, 0])
        assert passes(se3.inverse(base_from_cam) @ base_from_grip) is expected


@pytest.mark.slow
def test_no_grasp_of_the_demo_scene_comes_from_below_the_table():
    scene = make_scene(seed=0, cache_dir=default_cache_dir())
    (view,) = scene.views
    models = {model.name: model for model in scene.objects}
    grasps = {name: sample_grasps(model, Gripper(), QUICK) for name, model in models.items()}
    poses = [
        PoseEstimate(found.class_id, 1.0, found.cam_from_obj, instance_id=f"{found.class_id}_0")
        for found in view.ground_truth
    ]
    world_from_cam = view.world_from_cam  # z up

    def heights(placed):
        starts = [world_from_cam @ one.cam_from_grip @ back(one.grasp.pregrasp) for one in placed]
        return np.array([start[2, 3] for start in starts])

    assert heights(place_grasps(poses, grasps, 1000)).min() < 0, "without a limit some do"
    from_above = approaches_along("-z", FROM_ABOVE, world_from_cam)
    placed = place_grasps(poses, grasps, 1000, from_above)
    assert len({one.object_id for one in placed}) >= 3
    assert heights(placed).min() > 0


def back(distance):
    """The pose so far back along the approach, in the gripper's frame."""
    return se3.exp([0, 0, -distance, 0, 0, 0])
