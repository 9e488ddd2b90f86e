"""Construction of engines: one spec, one way, with the steps reported."""

import logging
import os
from dataclasses import replace

import pytest
import trimesh
from support.backend_double import BackendDouble
from support.oracles import OracleStages

from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig, InvalidMesh, InvalidObjects
from sam6d_ros.runtime import build
from sam6d_ros.runtime.build import SAME_EVERY_S, EngineSpec, ProgressLog, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.runtime.warmup import box_model

BOX, STRICT = replace(box_model(), name="mug"), ObjectSettings(min_score=0.9)


@pytest.fixture
def stages(monkeypatch) -> OracleStages:
    oracle = OracleStages()
    backend = BackendDouble(oracle, oracle, oracle, oracle)
    monkeypatch.setattr(build, "choose_backend", backend.choose)
    return oracle


@pytest.fixture
def objects_file(tmp_path):
    trimesh.creation.box((0.1, 0.12, 0.2)).export(tmp_path / "can.ply")
    path = tmp_path / "objects.yaml"
    path.write_text("objects:\n- {name: can, mesh: can.ply, unit: m, min_score: 0.4}\n")
    return path


def test_an_engine_has_the_objects_of_its_spec_and_file_and_is_warm(stages, objects_file):
    objects = ObjectSet({"mug": BOX}, settings={"mug": STRICT})
    steps = []
    engine = build_engine(EngineSpec(objects=objects, objects_file=objects_file), steps.append)
    assert [*engine.objects] == ["mug", "can"]
    assert [*engine.entries] == ["can"]
    assert {n: s.min_score for n, s in engine.settings.items()} == {"mug": 0.9, "can": 0.4}
    assert engine.backend == "double"
    assert steps == [
        "loading the backend",
        "onboarding can (1 of 1)",
        "preparing mug (1 of 2)",
        "preparing can (2 of 2)",
        "warming up",
    ]


def test_an_object_of_the_file_replaces_its_namesake(stages, objects_file):
    objects = ObjectSet({"can": replace(BOX, name="can")}, settings={"can": STRICT})
    engine = build_engine(EngineSpec(objects=objects, objects_file=objects_file))
    assert engine.objects["can"].content_hash != BOX.content_hash
    assert engine.settings["can"].min_score == 0.4


@pytest.mark.parametrize(
    ("role", "works"),
    [
        ("segmentation", {"segment"}),
        ("pose", {"estimate"}),
        ("full", {"segment", "estimate"}),
        ("tracking", {"track"}),
        ("service", {"segment", "estimate", "track"}),
        ("objects", set()),
    ],
)
def test_a_role_has_its_stages_only(stages, role, works):
    engine = build_engine(EngineSpec(role=role))
    parts = {"segment": "_segmentation", "estimate": "_pose", "track": "_tracker"}
    assert {name for name, part in parts.items() if getattr(engine, part) is not None} == works


def test_nothing_is_built_for_a_role_that_is_unknown(stages):
    with pytest.raises(InvalidConfig, match="role 'cook' is unknown"):
        build_engine(EngineSpec(role="cook"))


def test_an_unusable_objects_file_is_reported_before_loops_are_compiled(
    stages, tmp_path, monkeypatch
):
    steps = []
    monkeypatch.setattr(build, "compile_ahead", lambda *_: steps.append("compiling"))
    os.mkfifo(tmp_path / "objects.yaml")
    with pytest.raises(InvalidObjects, match="no regular file"):
        build_engine(EngineSpec(objects_file=tmp_path / "objects.yaml"), steps.append)
    assert steps == ["loading the backend"]


def test_a_missing_mesh_is_reported_before_loops_are_compiled(stages, objects_file, monkeypatch):
    steps = []
    monkeypatch.setattr(build, "compile_ahead", lambda *_: steps.append("compiling"))
    (objects_file.parent / "can.ply").unlink()
    with pytest.raises(InvalidMesh, match="does not exist"):
        build_engine(EngineSpec(objects_file=objects_file), steps.append)
    assert steps == ["loading the backend"]


def test_an_unusable_mesh_ends_the_build(stages, objects_file):
    (objects_file.parent / "can.ply").write_text("no mesh")
    with pytest.raises(InvalidMesh):
        build_engine(EngineSpec(objects_file=objects_file))


def test_equal_specs_are_equal_keys_and_others_are_not(objects_file):
    def make(**more):
        objects = ObjectSet({"mug": BOX}, settings={"mug": STRICT})
        return EngineSpec(**{"objects": objects, "objects_file": objects_file, **more})

    assert {make(): "engine"}[make()] == "engine"
    others = [
        make(config=PipelineConfig(min_score=0.1)),
        make(role="pose"),
        make(objects=ObjectSet({"mug": BOX})),
        make(objects_file=None),
    ]
    assert len({make(), *others}) == len(others) + 1


def test_without_a_listener_the_steps_are_logged_and_long_ones_of_a_kind_rarely(clock, caplog):
    caplog.set_level(logging.INFO, "sam6d_ros")
    report = ProgressLog(clock)
    for step in ("loading the backend", *(f"compiling loop {n} of 40" for n in range(1, 41))):
        report(step)
        clock.now += SAME_EVERY_S / 20
    report("warming up")
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "loading the backend",
        "compiling loop 1 of 40",
        "compiling loop 21 of 40",
        "warming up",
    ]
