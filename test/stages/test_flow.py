"""The search for one object as a whole: laws that hold for every frame."""

from dataclasses import replace
from itertools import pairwise

import numba
import numpy as np
import pytest
from support.still_life import (
    CAMERA,
    bracket,
    carton,
    errors,
    mask_of,
    photograph,
    standing,
)

from sam6d_ros.config import PipelineConfig
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.stages.geometric.evidence import evidence
from sam6d_ros.stages.geometric.features import FEATURES
from sam6d_ros.stages.geometric.flow import APART, Search
from sam6d_ros.stages.geometric.instances import instances_of
from sam6d_ros.stages.geometric.judge import shipped_judge
from sam6d_ros.stages.geometric.kit import kit_of
from sam6d_ros.stages.geometric.seeds import seeds_in
from sam6d_ros.types import Scene

pytestmark = pytest.mark.slow

CARTON, BRACKET = carton(), bracket()
CUBE = replace(box_model((0.03, 0.024, 0.04)), name="cube")
MAX_MOVED = 0.35  # diameters, of a hypothesis within one stage


@pytest.fixture(scope="module")
def poses():
    return standing(BRACKET, -0.08, 0, 30), standing(CARTON, 0.1, 0.02, -35)


@pytest.fixture(scope="module")
def frame(poses):
    return photograph([(BRACKET, poses[0]), (CARTON, poses[1])])


@pytest.fixture(scope="module")
def labels(poses):
    out = np.zeros((CAMERA.height, CAMERA.width), np.int32)
    out[mask_of(BRACKET, poses[0])] = 1
    out[mask_of(CARTON, poses[1])] = 2
    return out


@pytest.fixture(scope="module")
def engine(views_cache):
    objects = ObjectSet({model.name: model for model in (CARTON, BRACKET, CUBE)})
    config = PipelineConfig(backend="geometric")
    return build_engine(EngineSpec(config, views_cache, objects=objects))


def search(frame, labels, model, context, listen=lambda stage, table: None):
    view = Scene(frame).derived(evidence)
    kit = kit_of(model, context)
    return Search(view, view.maps(labels), kit, listen).run(seeds_in(view.scene, labels, kit))


@pytest.mark.parametrize("index", [0, 1], ids=["bracket", "carton"])
def test_the_best_candidate_is_the_object(frame, labels, poses, context, index):
    found, features = search(frame, labels, (BRACKET, CARTON)[index], context)
    shift, angle = errors(found.poses[0], poses[index])
    assert shift < 0.003
    assert angle < 2
    assert features.values.shape == (len(found), len(FEATURES))
    assert np.isfinite(features.values).all()
    assert (np.diff(found.score) <= 0).all()


def test_every_survivor_descends_from_a_pose_nearby(frame, labels, context):
    stages = []
    search(frame, labels, BRACKET, context, lambda stage, table: stages.append((stage, table)))
    centre = BRACKET.obj_from_box[:3, 3]
    assert len({stage for stage, _ in stages}) == len(stages)
    for (_, before), (stage, after) in pairwise(stages):
        assert len(after) > 0
        gap = after.centres(centre) - before.centres(centre)[after.parent]
        assert np.linalg.norm(gap, axis=1).max() < MAX_MOVED * BRACKET.diameter, stage


@pytest.mark.parametrize("least", [0.02, 0.3])
def test_leaving_hopeless_candidates_out_changes_no_instance(frame, labels, context, least):
    found, features = search(frame, labels, BRACKET, context)
    view, kit = Scene(frame).derived(evidence), kit_of(BRACKET, context)
    probability = shipped_judge().probability(features.values)
    every = instances_of(view, kit, found, probability, 50)
    likely = instances_of(view, kit, found, probability, 50, least)
    assert len(likely) > 0
    expected = [item.poses.tolist() for item in every if item.any_right >= least]
    assert [item.poses.tolist() for item in likely] == expected


def test_no_region_gives_no_candidate(frame, labels, context):
    found, features = search(frame, np.zeros_like(labels), BRACKET, context)
    assert len(found) == len(features) == 0


def test_a_frame_turned_upside_down_gives_the_turned_poses(frame, labels, poses, context):
    camera = replace(CAMERA, cx=CAMERA.width - 1 - CAMERA.cx, cy=CAMERA.height - 1 - CAMERA.cy)
    rgb, depth = (np.ascontiguousarray(image[::-1, ::-1]) for image in (frame.rgb, frame.depth))
    turned = replace(frame, rgb=rgb, depth=depth, camera=camera)
    found, _ = search(turned, np.ascontiguousarray(labels[::-1, ::-1]), CARTON, context)
    expected = se3.exp([0, 0, 0, 0, 0, np.pi]) @ poses[1]
    shift, angle = errors(found.poses[0], expected)
    assert shift < 0.003
    assert angle < 2


def outcome(result):
    return [(p.class_id, p.score, p.cam_from_obj.tolist()) for p in result.items]


@pytest.fixture
def threads():
    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread is allowed")
def test_the_number_of_threads_changes_nothing(engine, frame, threads):
    found = []
    for count in (1, 2):
        threads(count)
        found.append(outcome(engine.run(frame, [CARTON.name, BRACKET.name])))
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_other_names_asked_do_not_change_the_detections_of_an_object(engine, frame):
    alone = engine.segment(frame, [BRACKET.name]).items
    both = engine.segment(frame, [CARTON.name, BRACKET.name]).items
    mine = [item for item in both if item.class_id == BRACKET.name]
    assert [item.score for item in mine] == [item.score for item in alone]


@pytest.fixture(scope="module")
def fifty():
    """A tray of fifty small blocks."""
    spots = [(0.05 * (i - 4.5), 0.055 * (j - 2)) for i in range(10) for j in range(5)]
    placed = [standing(CUBE, x, y, 17.0 * k) for k, (x, y) in enumerate(spots)]
    return photograph([(CUBE, pose) for pose in placed], CAMERA.scaled(2)), placed


def test_fifty_instances_are_found_and_none_twice(engine, fifty):
    frame, placed = fifty
    found = engine.run(frame, [CUBE.name], Acceptance(0.3, max_instances=50))
    assert found.items, (found.reason, found.rejected[:3])
    centres = np.array([pose.cam_from_obj[:3, 3] for pose in found.items])
    truth = np.array([pose[:3, 3] for pose in placed])
    gap = np.linalg.norm(centres[:, None] - truth, axis=2)
    assert len(np.unique(gap.argmin(1)[gap.min(1) < 0.2 * CUBE.diameter])) >= 45
    between = np.linalg.norm(centres[:, None] - centres, axis=2) + np.eye(len(centres))
    assert between.min() > APART * CUBE.diameter


def test_max_instances_bounds_the_end_only(engine, fifty):
    few = engine.run(fifty[0], [CUBE.name], Acceptance(0.3, max_instances=5))
    many = engine.run(fifty[0], [CUBE.name], Acceptance(0.3, max_instances=50))
    assert len(few) == 5
    assert {p.score for p in few.items} <= {p.score for p in many.items}


@pytest.mark.parametrize("factor", [0.25, 0.5, 4])
def test_no_pose_is_probable_at_another_scale_of_depth(engine, frame, factor):
    scaled = replace(frame, depth=factor * frame.depth)
    found = engine.run(scaled, ["carton"], Acceptance(min_score=0.0))
    assert all(pose.score < 0.5 for pose in found.items)
