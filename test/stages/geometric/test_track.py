"""Following known instances: motion, occlusion, loss; what depth does not bind, colour does."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from support.still_life import (
    CAM_FROM_TABLE,
    CAMERA,
    bracket,
    can,
    carton,
    errors,
    model_of,
    moved,
    photograph,
    standing,
)

from sam6d_ros.config import TrackingConfig
from sam6d_ros.geometry import se3
from sam6d_ros.stages.geometric.track import ModelTracker
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates, Scene

CARTON, BRACKET = carton(), bracket()
LEAST = TrackingConfig.confirm_score


def board(x: float, z: float, width: float = 0.4):
    """A plate that faces the camera, its left edge at x, at range z (metres, camera frame)."""
    model = model_of(trimesh.creation.box((width, 0.6, 0.004)), "board")
    return model, se3.from_rotation_translation(np.eye(3), [x + width / 2, 0, z])


def track(tracker, frame, *bodies, names=None):
    items = tuple(
        PoseEstimate(model.name, 1.0, pose, instance_id=name)
        for (model, pose), name in zip(
            bodies, names or [m.name + "_1" for m, _ in bodies], strict=True
        )
    )
    models = {model.name: model for model, _ in bodies}
    poses = PoseEstimates(items, frame.stamp_ns, "eye")
    out = tracker.track(Scene(frame), poses, list(models.values()))
    assert out.stamp_ns == frame.stamp_ns
    return {pose.instance_id: pose for pose in out.items}


@pytest.mark.parametrize("model", [CARTON, BRACKET], ids=lambda model: model.name)
def test_what_does_not_move_stays(model):
    tracker, truth = ModelTracker(), standing(model, 0.02, 0, 35)
    frame, pose = photograph([(model, truth)]), truth
    for _ in range(10):
        pose = track(tracker, frame, (model, pose))[f"{model.name}_1"].cam_from_obj
    shift, turn = errors(pose, truth)
    assert shift < 0.0005
    assert turn < 0.3


@pytest.mark.parametrize("model", [CARTON, BRACKET], ids=lambda model: model.name)
@pytest.mark.parametrize(
    ("shift", "turn"),
    [((0.012, 0, 0), (0, 0, 0)), ((0, -0.008, 0.01), (0, 3, 0)), ((0.005, 0.005, 0), (3, -2, 3))],
)
def test_a_motion_between_frames_is_followed(model, shift, turn):
    truth = standing(model, 0, 0, 30)
    found = track(ModelTracker(), photograph([(model, truth)]), (model, moved(truth, shift, turn)))
    result = found[f"{model.name}_1"]
    off, angle = errors(result.cam_from_obj, truth)
    assert off < 0.003
    assert angle < 1.0
    assert result.score > LEAST


def test_a_print_tells_how_a_round_thing_turned():
    tracker, model = ModelTracker(), can()
    turns = np.arange(0, 30, 4)
    pose = standing(model, 0, 0, 0)
    for turn in turns:
        truth = standing(model, 0, 0, turn)
        pose = track(tracker, photograph([(model, truth)]), (model, pose))["can_1"].cam_from_obj
    assert errors(pose, truth)[1] < 2.0


def test_the_turn_of_a_plain_round_thing_is_known_to_be_unknown():
    model = can(colored=False)
    truth = standing(model, 0, 0, 0)
    found = track(ModelTracker(), photograph([(model, truth)]), (model, truth))["plain_can_1"]
    axis = truth[:3, 2]
    across = np.cross(axis, [1.0, 0, 0])
    across /= np.linalg.norm(across)
    turn = found.covariance[3:, 3:]
    assert axis @ turn @ axis > 10 * (across @ turn @ across)
    np.testing.assert_allclose(found.covariance, found.covariance.T)
    assert np.linalg.eigvalsh(found.covariance).min() > 0


def test_what_stands_before_the_object_does_not_move_it():
    tracker, truth = ModelTracker(), standing(CARTON, 0, 0, 30)
    track(tracker, photograph([(CARTON, truth)]), (CARTON, truth))
    frame = photograph([(CARTON, truth), board(x=-0.005, z=0.35)])
    found = track(tracker, frame, (CARTON, moved(truth, (0.004, 0, 0.004), (0, 1, 0))))["carton_1"]
    off, angle = errors(found.cam_from_obj, truth)
    assert off < 0.004
    assert angle < 2
    assert found.visible < 0.8
    assert found.score > LEAST


def test_a_hidden_object_is_not_confirmed():
    truth = standing(CARTON, 0, 0, 30)
    frame = photograph([(CARTON, truth), board(x=-0.3, z=0.3, width=0.6)])
    assert not track(ModelTracker(), frame, (CARTON, truth))


def test_an_object_that_was_taken_away_is_not_confirmed():
    found = track(ModelTracker(), photograph([]), (CARTON, standing(CARTON, 0, 0, 30)))
    assert all(pose.score < LEAST for pose in found.values())


@pytest.mark.parametrize("place", [[3.0, 0, 1.0], [0, 0, -0.5], [0, 0, 0.0]])
def test_an_object_out_of_the_image_is_not_confirmed(place):
    outside = se3.from_rotation_translation(np.eye(3), place)
    assert not track(ModelTracker(), photograph([]), (CARTON, outside))


def test_a_frame_without_depth_confirms_nothing():
    truth = standing(CARTON, 0, 0, 30)
    frame = photograph([(CARTON, truth)])
    blind = Frame(frame.rgb, np.zeros_like(frame.depth), CAMERA)
    assert not track(ModelTracker(), blind, (CARTON, truth))


def test_an_object_cut_off_by_the_image_is_followed():
    truth = standing(CARTON, -0.27, 0, 30)
    found = track(
        ModelTracker(),
        photograph([(CARTON, truth)]),
        (CARTON, moved(truth, (0.004, 0, 0), (0, 1, 0))),
    )
    off, angle = errors(found["carton_1"].cam_from_obj, truth)
    assert found["carton_1"].visible < 0.9, "the test wants it cut off"
    assert off < 0.004
    assert angle < 2


def test_two_equal_objects_keep_their_names():
    places = [standing(CARTON, -0.08, 0, 20), standing(CARTON, 0.08, 0, 20)]
    frame = photograph([(CARTON, place) for place in places])
    for order in ([0, 1], [1, 0]):
        bodies = [(CARTON, moved(places[i], (0.006, 0, 0), (0, 1, 0))) for i in order]
        found = track(ModelTracker(), frame, *bodies, names=[f"carton_{i}" for i in order])
        for i in order:
            assert errors(found[f"carton_{i}"].cam_from_obj, places[i])[0] < 0.002


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_image_size_does_not_matter(factor):
    camera = CAMERA.scaled(factor)
    truth = standing(CARTON, 0, 0, 30)
    frame = photograph([(CARTON, truth)], camera)
    start = moved(truth, (0.006, 0, 0.004), (0, 2, 0))
    found = track(ModelTracker(), frame, (CARTON, start))["carton_1"]
    assert errors(found.cam_from_obj, truth)[0] < 0.002


def test_a_mesh_without_colours_is_followed_by_its_shape():
    model = bracket(colored=False)
    truth = standing(model, 0, 0, 30)
    found = track(
        ModelTracker(),
        photograph([(model, truth)]),
        (model, moved(truth, (0.006, 0, 0), (0, 2, 0))),
    )
    assert errors(found["bare_bracket_1"].cam_from_obj, truth)[0] < 0.002


def test_tracking_leaves_the_number_of_threads_alone():
    import numba

    before = numba.get_num_threads()
    track(ModelTracker(), photograph([]), (CARTON, CAM_FROM_TABLE))
    assert numba.get_num_threads() == before
