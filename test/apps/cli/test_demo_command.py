"""`sam6d demo`: without a graph, with the user's part, and the hand-over to the ROS shell."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import cv2
import numpy as np
import pytest
import trimesh

from sam6d_ros.apps.cli.main import main
from sam6d_ros.apps.ros.demo.scene import DemoScene, make_task
from sam6d_ros.cad.objects import load_objects
from sam6d_ros.evaluation.synthetic import make_scene
from sam6d_ros.evaluation.synthetic.parts import part_of


@pytest.fixture
def without_ros(monkeypatch, tmp_path):
    """No module of ROS can be imported; objects are cached per test."""
    for name in ("rclpy", "std_msgs", "sensor_msgs", "vision_msgs", "sam6d_ros.apps.ros.demo.run"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("sam6d_ros.apps.ros.demo.scene.default_cache_dir", lambda: tmp_path / "c")
    monkeypatch.setattr(
        "sam6d_ros.apps.cli.commands.demo.default_cache_dir", lambda: tmp_path / "c"
    )


@pytest.fixture
def stl(tmp_path):
    """A stepped block of 90 × 60 × 50 mm, in millimetres and without colours."""
    low = trimesh.creation.box((90, 60, 25))
    high = trimesh.creation.box((30, 60, 25))
    high.apply_translation((-30, 0, 25))
    path = tmp_path / "step.stl"
    trimesh.util.concatenate([low, high]).export(path)
    return path


def test_demo_hands_its_arguments_to_the_ros_shell(sam6d, monkeypatch, tmp_path):
    calls = []
    shell = ModuleType("sam6d_ros.apps.ros.demo.run")
    shell.run_demo = lambda scene, out: calls.append((scene, out)) or 5
    monkeypatch.setitem(sys.modules, "sam6d_ros.apps.ros.demo.run", shell)
    code, out, _ = sam6d("demo", "--dataset", tmp_path, "--scene", 2, "--seed", 7, "--out", "x")
    assert code == 5
    ((scene, folder),) = calls
    assert (scene.dataset, scene.scene, scene.seed, str(folder)) == (tmp_path, 2, 7, "x")
    assert "sam6d estimate --rgb" in out, "the next command"


def test_demo_without_ros_names_the_option(sam6d, without_ros):
    code, _, err = sam6d("demo")
    assert code == 4
    assert "ROS 2" in err
    assert "sam6d demo --no-ros" in err


def test_a_dataset_needs_no_graph(sam6d, folder, without_ros, tmp_path):
    out = tmp_path / "out"
    code, shown, err = sam6d("demo", "--no-ros", "--dataset", folder.write(), "--out", out)
    assert code == 0, err
    assert "2 of 2 poses" in shown
    assert "sam6d demo --no-ros --cad" in shown, "the next command"
    poses = json.loads((out / "poses.json").read_text())["poses"]
    assert [pose["name"] for pose in poses] == ["obj_000001", "obj_000005"]
    assert cv2.imread(str(out / "overlay.png")).shape == (120, 160, 3)


def test_a_wrong_pose_gives_code_1(sam6d, folder, stages, without_ros, tmp_path):
    stages.poses = {}  # all ahead of the camera
    code, shown, _ = sam6d("demo", "--no-ros", "--dataset", folder.write(), "--out", tmp_path / "o")
    assert code == 1
    assert "wrong" in shown


def test_a_dataset_and_a_part_exclude_each_other(sam6d, folder, stl):
    code, _, err = sam6d("demo", "--no-ros", "--dataset", folder.write(), "--cad", stl)
    assert code == 2
    assert "exclude each other" in err


def test_a_part_is_the_only_target_of_its_scene(stl, tmp_path):
    made = make_scene(3, parts=[part_of(stl, "mm", tmp_path)], cache_dir=tmp_path)
    assert [model.name for model in made.objects] == ["step"]
    assert made.objects[0].diameter == pytest.approx(0.119, abs=0.001)
    (instance,) = made.ground_truth
    assert instance.visibility > 0.3


@pytest.fixture
def part_task(without_ros, stl, tmp_path):
    return make_task(DemoScene(cad=[stl], cad_unit="mm", seed=3), tmp_path / "out")


def test_the_users_file_is_searched_and_not_the_painted_mesh_of_the_scene(part_task, stl, tmp_path):
    (model,) = part_task.models.values()
    assert (model.source, model.colors) == (stl, None)
    (painted,) = load_objects(tmp_path / "out/scene/objects.yaml")
    assert painted.colors is not None
    for extremes in (np.min, np.max):  # the truth holds for both
        at = extremes(model.vertices, axis=0)
        np.testing.assert_allclose(at, extremes(painted.vertices, axis=0), atol=1e-5)


def test_the_reason_of_an_empty_demo_is_printed(sam6d, folder, stages, without_ros, tmp_path):
    """The table had "not found" alone, and the exit code was that of a defect."""
    stages.poses = dict.fromkeys(stages.poses)  # none is found
    code, shown, _ = sam6d("demo", "--no-ros", "--dataset", folder.write(), "--out", tmp_path / "o")
    assert code == 3
    assert "nothing found: " in shown


@pytest.mark.parametrize("unit", ["m", "inch"])
def test_a_part_that_does_not_suit_the_scene_is_refused(sam6d, without_ros, stl, tmp_path, unit):
    words = ("--cad", stl, "--cad-unit", unit, "--out", tmp_path / "out")
    code, _, err = sam6d("demo", "--no-ros", *words)
    assert code == 2
    assert "unit" in err


@pytest.mark.slow
def test_a_part_is_found_where_it_stands(capsys, without_ros, stl, tmp_path):
    words = ["demo", "--no-ros", "--cad", str(stl), "--cad-unit", "mm"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "1 of 1 poses" in capsys.readouterr().out
