"""The last stages on known candidates: improve, reject, one owner for every pixel."""

from dataclasses import replace

import numpy as np
import pytest
from support.still_life import (
    HALF_TURNS,
    bracket,
    carton,
    errors,
    mask_of,
    moved,
    photograph,
    plain_box,
    standing,
)

from sam6d_ros.stages.accept import CLAIMED_SHARE, Acceptance, accept
from sam6d_ros.stages.geometric import DEFAULT_MIN_SCORE, RenderRefiner, TemplateEstimator
from sam6d_ros.stages.geometric.instances import POSES_PER_INSTANCE
from sam6d_ros.stages.geometric.refine import REPORTED
from sam6d_ros.types import Candidates, Detection, Detections, InstanceCandidates, Scene

NEAR = {"shift_m": (0.006, -0.004, 0.005), "turn_deg": (4, -3, 5)}
CARTON, BRACKET, PLAIN_BOX = carton(), bracket(), plain_box()


@pytest.fixture(scope="module")
def places():
    """Poses of a carton and a bracket that stand apart."""
    return standing(CARTON, 0.09, 0.02, -35), standing(BRACKET, -0.08, 0, 30)


@pytest.fixture(scope="module")
def frame(places):
    shot = photograph([(CARTON, places[0]), (BRACKET, places[1])])
    return replace(shot, stamp_ns=42, frame_id="eye")


@pytest.fixture
def refine(frame, context):
    def run(*candidates, shot=frame, **limits):
        refiner = RenderRefiner(context)
        models = [CARTON, BRACKET, PLAIN_BOX]
        refined = refiner.refine(Scene(shot), Candidates(candidates), models)
        limits = {"min_score": DEFAULT_MIN_SCORE, **limits}
        return accept(refined, Acceptance(**limits), exclusive_pixels=True)

    return run


def candidate(model, pose, instance_id="0", mask_pose=None):
    mask = mask_of(model, pose if mask_pose is None else mask_pose)
    return InstanceCandidates(model.name, instance_id, pose[None], np.array([0.5]), mask)


def test_candidates_are_improved_and_keep_their_names(refine, frame, places):
    first = candidate(CARTON, moved(places[0], **NEAR), "carton_7", places[0])
    second = candidate(BRACKET, moved(places[1], **NEAR), "bracket_3", places[1])
    found = refine(first, second)
    by_name = {pose.class_id: pose for pose in found.items}
    for pose, truth, instance_id in (
        (by_name["carton"], places[0], "carton_7"),
        (by_name["bracket"], places[1], "bracket_3"),
    ):
        shift, angle = errors(pose.cam_from_obj, truth)
        assert shift < 0.003
        assert angle < 1.5
        assert pose.instance_id == instance_id
        assert np.linalg.eigvalsh(pose.covariance).min() > 0
        assert set(pose.agreement) == set(REPORTED)
    assert [pose.score for pose in found.items] == sorted(
        (pose.score for pose in found.items), reverse=True
    )
    assert (found.stamp_ns, found.frame_id, found.reason) == (42, "eye", "")


def test_masks_have_the_frames_size_and_show_the_object(refine, frame, places):
    (found,) = refine(candidate(BRACKET, places[1])).items
    mask = mask_of(BRACKET, places[1])
    assert found.mask.shape == frame.depth.shape
    assert (found.mask & mask).sum() / (found.mask | mask).sum() > 0.9


@pytest.mark.parametrize("half_turn", HALF_TURNS[1:], ids="xyz")
def test_a_look_alike_start_ends_at_the_right_turn(refine, places, half_turn):
    start = candidate(CARTON, places[0] @ half_turn)
    (found,) = refine(start).items
    assert errors(found.cam_from_obj, places[0])[1] < 2


def test_two_objects_do_not_own_the_same_pixels(refine, places):
    """A plain box of the carton's shape fits its depth; the carton's print decides."""
    found = refine(candidate(PLAIN_BOX, places[0], "b"), candidate(CARTON, places[0], "a"))
    assert [pose.class_id for pose in found.items] == ["carton"]


def test_two_candidates_of_one_physical_object_give_one_pose(refine, places):
    found = refine(candidate(CARTON, places[0], "a"), candidate(CARTON, places[0], "b"))
    assert len(found) == 1


def test_instances_are_not_told_apart_by_their_ids_alone(refine):
    """Two boxes with one id are two instances: their hypotheses must not be mixed."""
    poses = [standing(BRACKET, x, 0.0, 30) for x in (-0.09, 0.09)]
    shot = photograph([(BRACKET, pose) for pose in poses])
    found = refine(*(candidate(BRACKET, pose, "") for pose in poses), shot=shot)
    assert len(found) == 2


def test_masks_of_what_stands_overlap_little(refine, places):
    found = refine(candidate(CARTON, places[0], "a"), candidate(BRACKET, places[1], "b"))
    a, b = (pose.mask for pose in found.items)
    assert (a & b).sum() <= CLAIMED_SHARE * min(a.sum(), b.sum())


def test_no_candidate_gives_an_empty_result_with_the_reason(refine):
    found = refine()
    assert (len(found), found.stamp_ns, found.frame_id) == (0, 42, "eye")
    assert "no candidate" in found.reason


def test_what_is_rejected_is_named_with_its_score(refine, places):
    found = refine(candidate(BRACKET, places[1]), min_score=1.0)
    assert len(found) == 0
    assert "bracket" in found.reason
    assert "1.00" in found.reason


def test_no_more_than_max_instances_stand(refine):
    poses = [standing(BRACKET, x, 0.0, 30) for x in (-0.09, 0.09)]
    shot = photograph([(BRACKET, pose) for pose in poses])
    start = [candidate(BRACKET, pose, str(i)) for i, pose in enumerate(poses)]
    for limit in (1, 2):
        assert len(refine(*start, shot=shot, max_instances=limit)) == limit


def test_an_object_of_which_the_scene_shows_nothing_is_rejected(refine, places):
    away = moved(places[1], (0, -0.02, -0.25), (0, 0, 0))
    assert len(refine(candidate(BRACKET, away))) == 0


def test_a_pose_out_of_the_image_is_rejected(refine, places):
    outside = moved(places[1], (1.5, 0, 0), (0, 0, 0))
    found = refine(candidate(BRACKET, outside))
    assert len(found) == 0
    assert found.reason


@pytest.fixture
def estimator(context):
    return TemplateEstimator(context)


def test_every_detection_gets_candidates_near_the_truth(estimator, frame, places):
    detections = Detections(
        (
            Detection("carton", 0.9, mask_of(CARTON, places[0]), "carton_0"),
            Detection("bracket", 0.8, mask_of(BRACKET, places[1]), "bracket_0"),
        )
    )
    found = estimator.estimate(Scene(frame), detections, [CARTON, BRACKET])
    for truth, name in zip(places, ("carton_0", "bracket_0"), strict=True):
        (mine,) = [item for item in found.items if item.instance_id == name]
        assert 1 <= len(mine.score) <= POSES_PER_INSTANCE
        assert min(errors(pose, truth)[0] for pose in mine.cam_from_obj) < 0.006


def test_detections_of_objects_that_were_not_asked_for_are_left_out(estimator, frame, places):
    detections = Detections((Detection("carton", 0.9, mask_of(CARTON, places[0])),))
    found = estimator.estimate(Scene(frame), detections, [BRACKET])
    assert len(found) == 0
    assert found.reason


def test_a_detection_too_small_to_search_lives_on_its_hints(estimator, frame, places):
    mask = np.zeros(frame.depth.shape, bool)
    row, col = np.argwhere(mask_of(BRACKET, places[1])).mean(0).astype(int)
    mask[row - 2 : row + 3, col - 2 : col + 3] = True
    bare = Detection("bracket", 0.5, mask, "bracket_0")
    nothing = estimator.estimate(Scene(frame), Detections((bare,)), [BRACKET])
    assert len(nothing) == 0
    assert "measured depth" in nothing.reason
    hinted = replace(bare, pose_hints=moved(places[1], **NEAR)[None])
    found = estimator.estimate(Scene(frame), Detections((hinted,)), [BRACKET])
    shift, angle = errors(found.items[0].cam_from_obj[0], places[1])
    assert shift < 0.004
    assert angle < 3
