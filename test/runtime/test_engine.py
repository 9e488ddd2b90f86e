"""The engine keeps objects, prepares them once, and reports what it can do."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from support.contexts import add
from support.meshes import l_shape

from sam6d_ros.cad.object_entry import ObjectEntry, with_settings
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import (
    InvalidConfig,
    InvalidInput,
    InvalidMesh,
    InvariantError,
    UnknownName,
)
from sam6d_ros.pipeline import PoseEstimation
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectChange, apply_change
from sam6d_ros.runtime.warmup import box_model, warm_up_input
from sam6d_ros.types import (
    Candidates,
    Detection,
    Detections,
    Frame,
    InstanceCandidates,
    PoseEstimate,
    PoseEstimates,
    Proposals,
)

FRAME = warm_up_input(None)[1]


def named(name: str):
    return replace(box_model(), name=name)


def test_objects_are_prepared_when_added_and_searched_by_name(make_engine, stages):
    engine = make_engine()
    add(engine, named("cup"))
    add(engine, named("can"))
    assert set(stages.prepared) == {"cup", "can"}
    assert list(engine.objects) == ["cup", "can"]
    assert [p.class_id for p in engine.run(FRAME).items] == ["cup", "can"]
    assert [p.class_id for p in engine.run(FRAME, ["can"]).items] == ["can"]


def test_removed_objects_are_not_searched(make_engine):
    engine = make_engine()
    add(engine, named("cup"))
    apply_change(engine, ObjectChange.drop("cup"))
    result = engine.run(FRAME)
    assert len(result) == 0
    assert "no object" in result.reason
    with pytest.raises(UnknownName, match="cup"):
        apply_change(engine, ObjectChange.drop("cup"))
    with pytest.raises(UnknownName, match="cup"):
        engine.run(FRAME, ["cup"])


def test_settings_change_without_preparing_the_object_again(make_engine, stages):
    engine = make_engine()
    add(engine, named("cup"), ObjectSettings(min_score=0.95))
    assert "min_score of 'cup' is 0.95" in engine.run(FRAME).reason
    prepared = list(stages.prepared)
    apply_change(engine, ObjectChange(settings={"cup": ObjectSettings(min_score=0.9)}))
    assert [p.class_id for p in engine.run(FRAME).items] == ["cup"]
    assert engine.settings == {"cup": ObjectSettings(min_score=0.9)}
    assert stages.prepared == prepared
    with pytest.raises(UnknownName, match="can"):
        apply_change(engine, ObjectChange(settings={"can": ObjectSettings()}))


def test_an_entry_that_differs_in_its_settings_is_not_prepared_again(make_engine, stages, tmp_path):
    l_shape().export(tmp_path / "cup.ply")
    entry = ObjectEntry("cup", tmp_path / "cup.ply", "m", settings=ObjectSettings(min_score=0.95))
    engine = make_engine()
    model = apply_change(engine, ObjectChange.add(entry)).models["cup"]
    prepared = list(stages.prepared)
    other = with_settings(entry, ObjectSettings(max_instances=1))
    assert apply_change(engine, ObjectChange.add(other)).models["cup"] is model
    apply_change(engine, ObjectChange.only([other]))
    assert stages.prepared == prepared
    assert engine.objects == {"cup": model}
    assert engine.acceptance.by_object == {"cup": ObjectSettings(max_instances=1)}
    apply_change(engine, ObjectChange(settings={"cup": entry.settings}))
    assert engine.entries == {"cup": entry}
    assert yaml.safe_load(engine.entries["cup"].options) == {"min_score": 0.95}
    apply_change(engine, ObjectChange.drop("cup"))
    assert not engine.settings


def test_the_scorer_is_told_how_many_instances_are_wanted(make_engine, stages):
    engine = make_engine()
    add(engine, named("cup"), ObjectSettings(max_instances=10))
    add(engine, named("can"))
    engine.segment(FRAME)
    assert stages.limits[-1] == {"cup": 10, "can": PipelineConfig.max_instances}
    engine.run(FRAME, acceptance=replace(engine.acceptance, max_instances=5))
    assert stages.limits[-1] == {"cup": 10, "can": 5}


def test_limits_of_a_call_replace_those_of_the_engine(make_engine):
    engine = make_engine()
    add(engine, named("cup"))
    strict = replace(engine.acceptance, min_score=0.95)
    assert not engine.run(FRAME, acceptance=strict).items
    detections = engine.segment(FRAME)
    assert not engine.estimate(FRAME, detections, strict).items
    assert engine.estimate(FRAME, detections).items


def test_detections_of_another_image_are_refused(make_engine):
    engine = make_engine()
    add(engine, named("cup"))
    mask = np.ones((2 * FRAME.depth.shape[0], 2 * FRAME.depth.shape[1]), bool)
    with pytest.raises(InvalidInput, match="give masks of this frame"):
        engine.estimate(FRAME, Detections((Detection("cup", 0.5, mask),)))


def test_the_backends_threshold_applies_where_none_is_stated(stages):
    def limits(stated: float | None) -> float:
        pose = PoseEstimation(stages, stages, default_min_score=0.2)
        engine = Engine(PipelineConfig(min_score=stated), role="pose", pose_estimation=pose)
        return engine.acceptance.min_score

    assert [limits(None), limits(0.0), limits(0.7)] == [0.2, 0.0, 0.7]


def test_warm_up_takes_a_frame_through_the_stages(make_engine, stages):
    engine = make_engine()
    engine.warm_up()
    assert stages.frames == [FRAME.depth.shape]
    assert not engine.objects, "the synthetic object must not stay"


def test_the_warm_up_frame_shows_the_object_on_a_table():
    model, frame, detections = warm_up_input(None)
    mask = detections.items[0].mask
    assert 0.05 < mask.mean() < 0.5
    assert (frame.depth[~mask] > 0).mean() > 0.5
    edge = mask & ~np.roll(mask, -1, axis=0)
    assert (np.roll(frame.depth, -1, axis=0)[edge] > 0).any()
    assert abs(np.median(frame.depth[mask]) - 3 * model.diameter) < model.diameter


@pytest.mark.parametrize(
    ("role", "can", "cannot"),
    [
        ("segmentation", "segment", "estimate"),
        ("pose", "estimate", "segment"),
    ],
)
def test_a_half_does_its_half_only(make_engine, role, can, cannot):
    engine = make_engine(role)
    add(engine, named("cup"))
    engine.warm_up()
    detections = Detections(tuple(replace(d, class_id="cup") for d in warm_up_input(None)[2].items))
    arguments = {"segment": (FRAME,), "estimate": (FRAME, detections)}
    assert [item.class_id for item in getattr(engine, can)(*arguments[can]).items] == ["cup"]
    with pytest.raises(InvalidConfig, match=role):
        getattr(engine, cannot)(*arguments[cannot])


def test_unknown_role(make_engine):
    with pytest.raises(InvalidConfig, match="cook"):
        make_engine("cook")


def test_timings_name_every_stage(make_engine):
    engine = make_engine()
    add(engine, named("cup"))
    timings = engine.run(FRAME).timings_s
    assert set(timings) == {"propose", "score", "estimate", "refine", "total"}
    assert timings["total"] >= sum(v for k, v in timings.items() if k != "total")


def test_an_empty_result_keeps_stamp_reason_and_time(make_engine):
    engine = make_engine()
    add(engine, named("cup"))
    blind = Frame(FRAME.rgb, np.zeros_like(FRAME.depth), FRAME.camera, 42, "eye")
    result = engine.run(blind)
    assert (len(result), result.stamp_ns, result.frame_id) == (0, 42, "eye")
    assert "depth" in result.reason
    assert result.timings_s["total"] > 0


@pytest.mark.parametrize("stage", ["propose", "score", "estimate", "refine"])
def test_an_invalid_result_of_a_stage_is_a_defect_and_not_bad_input(make_engine, stages, stage):
    engine = make_engine()
    add(engine, named("cup"))

    def broken(*_):
        return PoseEstimate("cup", float("nan"), np.eye(4))

    setattr(stages, stage, broken)
    with pytest.raises(InvariantError, match=f"stage {stage} .*score nan") as caught:
        engine.run(FRAME)
    assert not isinstance(caught.value, InvalidInput)


@pytest.mark.parametrize("stage", ["propose", "score"])
def test_masks_of_another_size_from_a_stage_are_a_defect(make_engine, stages, stage):
    engine = make_engine()
    add(engine, named("cup"))
    small = np.ones((4, 5), bool)
    result = {
        "propose": Proposals(small[None], np.ones(1, np.float32)),
        "score": Detections((Detection("cup", 0.5, small),)),
    }
    setattr(stages, stage, lambda *_: result[stage])
    with pytest.raises(InvariantError, match=rf"stage {stage} .*\(4, 5\), the frame"):
        engine.segment(FRAME)


@pytest.mark.parametrize("stage", ["estimate", "refine"])
def test_masks_of_another_size_from_the_second_half_are_a_defect(make_engine, stages, stage):
    """accept() combined them with masks of the frame: a broadcast error, or a wrong owner."""
    engine = make_engine()
    add(engine, named("cup"))
    small = np.ones((4, 5), bool)
    one = InstanceCandidates("cup", "cup_0", np.eye(4)[None], np.array([0.9]), small)
    result = {
        "estimate": Candidates((one,)),
        "refine": PoseEstimates((one.best(),), FRAME.stamp_ns, FRAME.frame_id),
    }
    setattr(stages, stage, lambda *_: result[stage])
    with pytest.raises(InvariantError, match=rf"stage {stage} .*'cup_0' is \(4, 5\), the frame"):
        engine.run(FRAME)


def test_masks_of_another_size_from_a_tracker_are_a_defect():
    small = PoseEstimate("cup", 0.9, np.eye(4), mask=np.ones((4, 5), bool))
    result = PoseEstimates((small,), FRAME.stamp_ns, FRAME.frame_id)
    tracker = SimpleNamespace(prepare=lambda model: None, track=lambda *_: result)
    engine = Engine(PipelineConfig(), role="tracking", tracker=tracker)
    with pytest.raises(InvariantError, match=r"stage track .*\(4, 5\), the frame"):
        engine.track(FRAME, PoseEstimates.empty(FRAME, ""))


def test_a_mesh_that_a_stage_cannot_use_is_the_callers_matter(make_engine, stages):
    engine = make_engine()
    add(engine, named("cup"))
    stages.failure = InvalidMesh("too flat to render")
    with pytest.raises(InvalidMesh):
        engine.run(FRAME)
