"""All geometric stages together, on frames rendered without noise."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from support.still_life import (
    CAMERA,
    bracket,
    carton,
    errors,
    mask_of,
    model_of,
    moved,
    photograph,
    plain_box,
    standing,
)

from sam6d_ros.config import PipelineConfig
from sam6d_ros.pipeline import Record, RunContext
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.runtime.size_check import size_warning
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.stages.geometric import DEFAULT_MIN_SCORE
from sam6d_ros.types import Frame, Scene

pytestmark = pytest.mark.slow

CARTON, BRACKET = carton(), bracket()
BARE = replace(bracket(colored=False), name="bare")
BOTH = (CARTON.name, BRACKET.name)


@pytest.fixture(scope="module")
def engine(views_cache) -> Engine:
    objects = ObjectSet({model.name: model for model in (CARTON, BRACKET, BARE)})
    config = PipelineConfig(backend="geometric")
    return build_engine(EngineSpec(config, views_cache, objects=objects))


@pytest.fixture(scope="module")
def two_cartons():
    """Two equal cartons (no bracket): the frame and both poses."""
    poses = [standing(CARTON, -0.1, 0, 20), standing(CARTON, 0.12, 0.03, -50)]
    shot = photograph([(CARTON, pose) for pose in poses])
    return replace(shot, stamp_ns=7, frame_id="eye"), poses


@pytest.fixture(scope="module")
def found(engine, two_cartons):
    record = Record()
    return engine.run(two_cartons[0], BOTH, ctx=RunContext(record=record)), record


def nearest(poses, truth):
    return min((errors(pose.cam_from_obj, truth), i) for i, pose in enumerate(poses))


def test_every_instance_of_an_object_is_found(found, two_cartons):
    poses = found[0].items
    owners = set()
    for truth in two_cartons[1]:
        (shift, angle), index = nearest(poses, truth)
        assert shift < 0.002
        assert angle < 1.5
        owners.add(index)
    assert len(owners) == 2
    assert len({pose.instance_id for pose in poses}) == len(poses)


def test_an_absent_object_is_not_returned(found):
    assert {pose.class_id for pose in found[0].items} == {"carton"}
    assert len(found[0]) == 2


def test_right_poses_score_well_above_the_threshold(found):
    scores = [pose.score for pose in found[0].items]
    assert min(scores) > DEFAULT_MIN_SCORE + 0.2
    assert max(scores) <= 1


def test_masks_are_those_of_the_instances(found, two_cartons):
    for truth in two_cartons[1]:
        pose = found[0].items[nearest(found[0].items, truth)[1]]
        mask = mask_of(CARTON, truth)
        assert (pose.mask & mask).sum() / (pose.mask | mask).sum() > 0.9


def test_the_result_belongs_to_the_frame_and_names_the_time_of_each_stage(found):
    poses, record = found
    assert (poses.stamp_ns, poses.frame_id) == (7, "eye")
    assert set(poses.timings_s) == {"propose", "score", "estimate", "refine", "total"}
    assert len(record.detections) >= 2


def test_detections_carry_hints_near_the_truth(found, two_cartons):
    hints = np.concatenate([d.pose_hints for d in found[1].detections.items])
    for truth in two_cartons[1]:
        assert min(errors(hint, truth)[0] for hint in hints) < 0.005


def test_the_same_frame_twice_gives_the_same_result(engine, found, two_cartons):
    again = engine.run(two_cartons[0], BOTH)
    assert len(again) == len(found[0])
    for a, b in zip(again.items, found[0].items, strict=True):
        assert (a.class_id, a.instance_id, a.score) == (b.class_id, b.instance_id, b.score)
        assert np.array_equal(a.cam_from_obj, b.cam_from_obj)
        assert np.array_equal(a.covariance, b.covariance)
        assert np.array_equal(a.mask, b.mask)


@pytest.mark.parametrize("factor", [1, 4], ids=["320", "1280"])
def test_images_of_any_size_give_the_pose_and_a_mask_of_their_size(engine, factor):
    """A mesh without colours; 1280 columns are worked on at 640."""
    camera = CAMERA.scaled(factor)
    truth = standing(BARE, 0.01, 0, 40)
    poses = engine.run(photograph([(BARE, truth)], camera), [BARE.name])
    assert len(poses) == 1
    (pose,) = poses.items
    shift, angle = errors(pose.cam_from_obj, truth)
    assert shift < 0.003
    assert angle < 1.5
    assert pose.mask.shape == (camera.height, camera.width)
    whole = BARE.scene.render(camera, truth).mask
    assert (pose.mask & whole).sum() / (pose.mask | whole).sum() > 0.85


def test_a_half_hidden_object_is_found(engine):
    bar = replace(box_model((0.09, 0.03, 0.14)), name="bar")
    hidden, front = standing(CARTON, 0.02, 0.06, 20), standing(bar, -0.01, -0.04, 10)
    frame = photograph([(CARTON, hidden), (bar, front)])
    visible = 1 - mask_of(bar, front)[mask_of(CARTON, hidden)].mean()
    assert 0.4 < visible < 0.7
    poses = engine.run(frame, [CARTON.name])
    assert len(poses) == 1
    shift, angle = errors(poses.items[0].cam_from_obj, hidden)
    assert shift < 0.004
    assert angle < 2
    assert poses.items[0].visible == pytest.approx(visible, abs=0.1)


@pytest.mark.parametrize("what", ["an empty table", "something else", "no depth", "a wall"])
def test_nothing_in_view_is_an_empty_result_with_the_reason(engine, what):
    frame = photograph([])
    if what == "something else":
        ball = model_of(trimesh.creation.icosphere(subdivisions=4, radius=0.07), "ball")
        frame = photograph([(ball, standing(ball, 0, 0, 0))])
    elif what == "no depth":
        frame = Frame(frame.rgb, np.zeros_like(frame.depth), CAMERA)
    elif what == "a wall":
        frame = Frame(frame.rgb, np.full_like(frame.depth, 0.7), CAMERA)
    poses = engine.run(frame, BOTH)
    assert len(poses) == 0
    assert poses.reason


def test_an_object_that_fills_the_image_does_not_break_anything(engine):
    close = moved(standing(CARTON, 0, 0, 30), (0, 0, -0.42), (0, 0, 0))
    poses = engine.run(photograph([(CARTON, close)]), BOTH)
    assert all(0 <= pose.score <= 1 for pose in poses.items)
    assert len(poses) or poses.reason


def test_no_frame_outlives_its_call(engine):
    frame = photograph([(CARTON, standing(CARTON, 0, 0, 30))])
    alive = weakref.ref(frame)
    scene = Scene(frame)
    assert len(engine.estimate(scene, engine.segment(scene)))
    assert size_warning(CARTON, scene) == ""
    del frame, scene
    gc.collect()
    assert alive() is None


def test_a_plain_box_has_one_rotation_in_every_capture(views_cache):
    box = replace(plain_box(), symmetries=plain_box().shape_symmetries)
    config = PipelineConfig(backend="geometric", max_instances=1)
    engine = build_engine(EngineSpec(config, views_cache, objects=ObjectSet({box.name: box})))
    still = photograph([(box, standing(box, 0, 0, 35))])
    rotations = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        depth = still.depth + rng.normal(0, 1e-3, still.depth.shape) * (still.depth > 0)
        (pose,) = engine.run(replace(still, depth=depth.astype(np.float32))).items
        rotations.append(pose.cam_from_obj)
    assert max(errors(rotations[0], other)[1] for other in rotations) < 5
