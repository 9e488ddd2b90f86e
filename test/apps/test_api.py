"""The Python interface of the package."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from support.backend_double import BackendDouble
from support.oracles import OracleStages

import sam6d_ros
from sam6d_ros.errors import InvalidInput
from sam6d_ros.runtime import build


def test_import_loads_no_library():
    code = "import sys, sam6d_ros; print('numpy' in sys.modules, 'cv2' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Files of a frame and an objects file, and stages that know its pose."""
    trimesh.creation.box((0.1, 0.08, 0.06)).export(tmp_path / "box.ply")
    (tmp_path / "objects.yaml").write_text("objects:\n- {name: box, mesh: box.ply, unit: m}\n")
    cv2.imwrite(str(tmp_path / "rgb.png"), np.full((48, 64, 3), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "depth.png"), np.full((48, 64), 500, np.uint16))
    matrix = [60.0, 0, 31.5, 0, 60.0, 23.5, 0, 0, 1]
    (tmp_path / "camera.json").write_text(json.dumps({"cam_K": matrix, "depth_scale": 1.0}))
    pose = np.eye(4)
    pose[2, 3] = 0.5
    oracle = OracleStages({"box": pose})
    double = BackendDouble(oracle, oracle, oracle, oracle)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "choose_backend", double.choose)
    names = ("rgb.png", "depth.png", "camera.json", "objects.yaml")
    return [tmp_path / name for name in names]


def test_five_lines_give_poses_and_a_picture(tmp_path, files):
    engine = sam6d_ros.open_engine(
        sam6d_ros.load_objects(tmp_path / "objects.yaml", cache_dir=tmp_path / "cache"),
        cache_dir=tmp_path / "cache",
    )
    frame = sam6d_ros.load_frame(*files[:3])
    estimates = engine.run(frame)

    assert "<box_0 score=" in repr(estimates)
    assert "xyz_mm=(0.0, 0.0, 500.0)" in repr(estimates)
    values = json.loads(json.dumps(sam6d_ros.to_dict(estimates)))
    shown = np.array(values["poses"][0]["cam_from_obj"])  # one of the box's equivalent poses
    np.testing.assert_allclose(shown[:3, 3], [0, 0, 0.5], atol=1e-4)
    picture = sam6d_ros.draw(frame, estimates, engine.objects)
    assert picture.shape == frame.rgb.shape
    assert (picture != frame.rgb).any()


def test_cad_files_are_objects_named_by_their_files(tmp_path, files):
    objects = sam6d_ros.load_objects(tmp_path / "box.ply", "m", tmp_path / "cache")
    assert list(objects.models) == ["box"]
    trimesh.creation.box((30, 20, 60)).export(tmp_path / "bar.stl")
    mixed = [tmp_path / "bar.stl", str(tmp_path / "box.ply")]
    objects = sam6d_ros.load_objects(mixed, cache_dir=tmp_path / "cache")
    assert list(objects.models) == ["bar", "box"]
    assert objects.models["bar"].diameter == pytest.approx(0.07, abs=1e-3)


@pytest.mark.parametrize(
    ("names", "unit", "message"),
    [
        ([], "auto", "no file of an object"),
        (["box.ply", "box.ply"], "m", "both named 'box'"),
        (["box.ply"], "furlong", "unit .*is 'furlong'; expected one of"),
        (["objects.yaml"], "mm", "state `unit` in the objects file"),
        (["absent.ply"], "m", "absent.ply"),
    ],
)
def test_files_that_are_no_objects_are_refused(tmp_path, files, names, unit, message):
    with pytest.raises(InvalidInput, match=message):
        sam6d_ros.load_objects([tmp_path / name for name in names], unit, tmp_path / "cache")


def test_an_engine_of_a_file_is_refused_with_the_remedy():
    with pytest.raises(InvalidInput, match=r"'part.stl'; expected .*open_engine\(load_objects"):
        sam6d_ros.open_engine("part.stl")


def test_a_missing_objects_file_names_the_command_that_writes_one(tmp_path):
    path = tmp_path / "absent.yaml"
    with pytest.raises(InvalidInput, match=f"sam6d onboard --template {path}"):
        sam6d_ros.load_objects(path)


def test_package_addresses_are_found_without_ros(tmp_path, files, monkeypatch):
    """The Python interface refused them, the command line did not."""
    (tmp_path / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (tmp_path / "share/ament_index/resource_index/packages/shapes").touch()
    (tmp_path / "share/shapes").mkdir()
    (tmp_path / "box.ply").rename(tmp_path / "share/shapes/box.ply")
    (tmp_path / "objects.yaml").write_text(
        "objects: [{name: box, mesh: 'package://shapes/box.ply', unit: m}]"
    )
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    objects = sam6d_ros.load_objects(tmp_path / "objects.yaml", cache_dir=tmp_path / "cache")
    assert list(objects.models) == ["box"]


def test_limits_of_the_engine_are_those_of_the_call(tmp_path, files):
    objects = sam6d_ros.load_objects(tmp_path / "box.ply", "m", tmp_path / "cache")
    engine = sam6d_ros.open_engine(objects, cache_dir=tmp_path, min_score=0.95, max_instances=1)
    assert engine.acceptance.max_instances == 1
    estimates = engine.run(sam6d_ros.load_frame(*files[:3]))
    assert len(estimates) == 0
    assert "0.95" in estimates.reason
    with pytest.raises(InvalidInput, match="min_score"):
        sam6d_ros.open_engine(objects, min_score=87)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(sam6d_ros, "estimate_everything")


def test_the_first_example_prints_and_draws(tmp_path, files, monkeypatch, capsys):
    example = Path(__file__).resolve().parents[2] / "examples/01_one_frame.py"
    overlay = tmp_path / "overlay.png"
    monkeypatch.setattr(sys, "argv", [str(part) for part in (example, *files, overlay)])
    runpy.run_path(str(example))
    assert "<box_0 score=" in capsys.readouterr().out
    assert cv2.imread(str(overlay)).shape == (48, 64, 3)
