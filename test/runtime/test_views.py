"""Laws of fusing what a moving camera sees of objects at rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sam6d_ros import fuse
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.cad.symmetry.equivalence import nearest_equivalent
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic.noise import Sensor
from sam6d_ros.evaluation.synthetic.scene import CAMERA, SyntheticScene, make_scene
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.views import VIEW_MIN_SCORE, View, fuse_views, limits_of_a_view
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.types import Alternative, PoseEstimate, PoseEstimates

pytestmark = pytest.mark.slow  # nine rendered frames

COVARIANCE = np.diag([1e-6, 4e-6, 9e-6, 1e-4, 2e-4, 3e-4])


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    """A box and a cat, seen along an arc of 36 degrees."""
    return make_scene(
        4,
        camera=CAMERA.scaled(0.25),
        targets=["tea_box", "toy_cat"],
        clutter=0,
        frames=25,
        sensor=Sensor(strength=0),
        cache_dir=default_cache_dir(),
    )


def views_of(scene: SyntheticScene, chosen=(0, 8, 16, 24), score=0.8, **more) -> list[View]:
    """True poses of some frames, as a perfect estimator gives them."""
    out = []
    for index in chosen:
        seen = scene.views[index]
        items = tuple(
            PoseEstimate(truth.class_id, score, truth.cam_from_obj, COVARIANCE, **more)
            for truth in seen.ground_truth
        )
        estimates = PoseEstimates(items, index, "cam")
        out.append(View(seen.frame, estimates, seen.world_from_cam))
    return out


def models_of(scene: SyntheticScene) -> dict:
    return {model.name: model for model in scene.objects}


def test_true_poses_of_all_views_are_one_pose_in_the_last_camera(scene: SyntheticScene) -> None:
    fused = fuse_views(views_of(scene), models_of(scene))
    truth = {item.class_id: item.cam_from_obj for item in scene.views[24].ground_truth}
    assert sorted(pose.class_id for pose in fused.items) == ["tea_box", "toy_cat"]
    for pose in fused.items:
        model = models_of(scene)[pose.class_id]
        true = truth[pose.class_id]
        error = nearest_equivalent(pose.cam_from_obj, true, model.symmetries, model.box_corners)[1]
        assert error < 1e-6
        assert pose.score == pytest.approx(0.8)
        assert pose.presence == 1
    assert fused.stamp_ns == 24


def test_a_common_motion_of_the_fixed_frame_changes_nothing(scene: SyntheticScene) -> None:
    shift = se3.exp([0.4, -1, 2, 0.3, 0.2, -1])
    views = views_of(scene)
    moved = [replace(view, fixed_from_cam=shift @ view.fixed_from_cam) for view in views]
    first, second = (fuse_views(some, models_of(scene)) for some in (views, moved))
    for one, other in zip(first.items, second.items, strict=True):
        assert np.allclose(one.cam_from_obj, other.cam_from_obj, atol=1e-9)


def test_a_covariance_turns_with_its_camera(scene: SyntheticScene) -> None:
    (first, *_) = views_of(scene, (0,))
    (last, *_) = views_of(scene, (24,))
    empty = replace(last, estimates=PoseEstimates((), 24, "cam", "none"))
    fused = fuse_views([first, empty], models_of(scene))
    turn = (se3.inverse(last.fixed_from_cam) @ first.fixed_from_cam)[:3, :3]
    cat = next(pose for pose in fused.items if pose.class_id == "toy_cat")
    both = np.kron(np.eye(2), turn)
    assert cat.covariance is not None
    assert np.allclose(cat.covariance, both @ COVARIANCE @ both.T, atol=1e-9)


def test_a_pose_that_other_views_look_through_is_left_out(scene: SyntheticScene) -> None:
    views = views_of(scene)
    items = views[0].estimates.items
    ghost = items[0].cam_from_obj.copy()
    ghost[2, 3] -= 0.15  # towards the camera, in free space
    false = PoseEstimate(items[0].class_id, 0.9, ghost)
    estimates = PoseEstimates((*items, false), 0, "cam")
    views[0] = replace(views[0], estimates=estimates)
    fused = fuse_views(views, models_of(scene))
    assert len(fused.items) == 2
    assert fused.reason.startswith("1 instances are where other views look through")


def test_a_view_that_cannot_see_an_object_does_not_lower_its_score(scene: SyntheticScene) -> None:
    views = views_of(scene)
    blind = views[1].frame
    dark = replace(blind, depth=np.zeros_like(blind.depth))
    none = PoseEstimates((), 8, "cam", "none")
    views[1] = replace(views[1], frame=dark, estimates=none)
    for pose in fuse_views(views, models_of(scene)).items:
        assert pose.score == pytest.approx(0.8)
        assert pose.presence == 1


def test_a_view_that_missed_a_visible_object_lowers_its_score(scene: SyntheticScene) -> None:
    views = views_of(scene)
    views[1] = replace(views[1], estimates=PoseEstimates((), 8, "cam", "none"))
    for pose in fuse_views(views, models_of(scene)).items:
        assert pose.score == pytest.approx(0.6)
        assert pose.presence == pytest.approx(0.75)


def test_views_without_frames_count_against_nothing(scene: SyntheticScene) -> None:
    views = views_of(scene)
    none = PoseEstimates((), 8, "cam", "none")
    estimates = [views[0].estimates, none, views[2].estimates]
    cameras = [view.fixed_from_cam for view in views[:3]]
    fused = fuse(estimates, cameras, models_of(scene))
    assert [pose.score for pose in fused.items] == pytest.approx([0.8, 0.8])
    frames = [view.frame for view in views[:3] if view.frame is not None]
    judged = fuse(estimates, cameras, models_of(scene), frames)
    assert [pose.score for pose in judged.items] == pytest.approx([1.6 / 3, 1.6 / 3])
    with pytest.raises(InvalidInput, match="3 estimates, 2 camera poses and 3 frames"):
        fuse(estimates, cameras[:2], models_of(scene), frames)


def test_the_limits_are_those_of_one_frame(scene: SyntheticScene) -> None:
    views = views_of(scene, score=0.3)
    fused = fuse_views(views, models_of(scene), Acceptance(min_score=0.5))
    assert not fused.items
    assert fused.rejected


def test_alternatives_come_along(scene: SyntheticScene) -> None:
    other = Alternative("tea_box", scene.views[24].ground_truth[0].cam_from_obj, 0.2)
    fused = fuse_views(views_of(scene, (24,), alternatives=(other,)), models_of(scene))
    assert np.allclose(fused.items[0].alternatives[0].cam_from_obj, other.cam_from_obj)


def test_the_view_that_shows_the_difference_settles_the_turn(scene: SyntheticScene) -> None:
    half_turn = se3.exp([0, 0, 0, 0, 0, np.pi])
    views = views_of(scene, (0, 12, 24))
    for number in (0, 1):  # these two cannot tell, and guess wrong
        items = tuple(
            replace(
                pose,
                score=0.5,
                cam_from_obj=pose.cam_from_obj @ half_turn,
                alternatives=(Alternative(pose.class_id, pose.cam_from_obj, 0.45),),
            )
            for pose in views[number].estimates.items
        )
        estimates = PoseEstimates(items, number, "cam")
        views[number] = replace(views[number], estimates=estimates)
    fused = fuse_views(views, models_of(scene))
    truth = {item.class_id: item.cam_from_obj for item in scene.views[24].ground_truth}
    cat = next(pose for pose in fused.items if pose.class_id == "toy_cat")
    assert np.allclose(cat.cam_from_obj, truth["toy_cat"], atol=1e-6)
    assert cat.presence == 1
    assert cat.score > 0.8  # each of the two was sure of one of its poses


def test_an_unsure_pose_of_one_view_passes_to_the_fusion() -> None:
    strict = Acceptance(0.5, {"cup": ObjectSettings(min_score=0.7), "box": ObjectSettings()})
    limits = limits_of_a_view(strict)
    assert limits.min_score_of("cup") == limits.min_score_of("box") == VIEW_MIN_SCORE
    assert limits_of_a_view(Acceptance(0.02)).min_score == 0.02
    assert limits.max_instances == strict.max_instances


def test_depth_of_all_views_settles_a_turn_that_no_alternative_names(scene: SyntheticScene) -> None:
    turn = se3.exp([0, 0, 0, 0, 0, 2.0])
    views = views_of(scene, (0, 12, 24))
    for number in (1, 2):  # the majority is wrong, each in another way
        items = tuple(
            replace(pose, cam_from_obj=pose.cam_from_obj @ (turn if number == 1 else turn @ turn))
            for pose in views[number].estimates.items
        )
        views[number] = replace(views[number], estimates=PoseEstimates(items, number, "cam"))
    fused = fuse_views(views, models_of(scene))
    truth = {item.class_id: item.cam_from_obj for item in scene.views[24].ground_truth}
    cat = next(pose for pose in fused.items if pose.class_id == "toy_cat")
    assert np.allclose(cat.cam_from_obj, truth["toy_cat"], atol=1e-4)
    assert cat.presence == 1
    assert cat.covariance is not None  # of the one view that has measured it
    own = np.linalg.eigvalsh(COVARIANCE)
    assert np.allclose(np.linalg.eigvalsh(cat.covariance), own, rtol=1e-3)


def test_no_view_and_no_rigid_camera_pose_are_refused(scene: SyntheticScene) -> None:
    with pytest.raises(InvalidInput, match="no view was given"):
        fuse_views([], models_of(scene))
    (view,) = views_of(scene, (0,))
    with pytest.raises(InvalidInput, match="fixed_from_cam"):
        fuse_views([replace(view, fixed_from_cam=np.diag([2.0, 1, 1, 1]))], models_of(scene))
