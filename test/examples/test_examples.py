"""The numbered examples run on the data that examples/make_data.py writes."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from sam6d_ros.apps.compiled_loops import keep_compiled_loops

pytestmark = pytest.mark.slow  # searches in images

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Synthetic data; the cache of objects is theirs, that of compiled loops the user's."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        keep_compiled_loops()  # before the cache moves
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(sys, "argv", ["make_data.py", str(folder)])
        runpy.run_path(str(EXAMPLES / "make_data.py"))
        yield folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Run one example with arguments; returns what it prints."""

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *(str(value) for value in arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return call


def images(dataset):
    scene = dataset / "test/000000"
    return scene / "rgb/000001.png", scene / "depth/000001.png", scene / "scene_camera.json"


def truth(dataset):
    """True position of each object of the first image, millimetres, by number."""
    entries = json.loads((dataset / "test/000000/scene_gt.json").read_text())["1"]
    return {entry["obj_id"]: np.array(entry["cam_t_m2c"]) for entry in entries}


def test_01_prints_the_poses_and_draws_them(data, run, tmp_path):
    still = data / "still"
    out = run("01_one_frame.py", *images(still), still / "objects.yaml", tmp_path / "overlay.png")
    found = dict(re.findall(r"<(\w+)_0 score=[\d.]+ xyz_mm=\((.+)\)>", out))
    for obj_id, name in enumerate(("tea_box", "soup_can", "mug"), start=1):
        xyz = np.array(found[name].split(", "), float)
        np.testing.assert_allclose(xyz, truth(still)[obj_id], atol=10)
    assert cv2.imread(str(tmp_path / "overlay.png")).shape == (480, 640, 3)


def test_02_finds_a_cad_file_and_names_the_reason_if_it_does_not(data, run, tmp_path):
    still = data / "still"
    files = (*images(still), tmp_path / "overlay.png")
    out = run("02_own_cad.py", still / "models/obj_000001.ply", "mm", *files)
    assert "obj_000001: diameter 219 mm" in out
    (pose,) = json.loads(out.splitlines()[-1])["poses"]
    xyz_mm = 1000 * np.array(pose["cam_from_obj"])[:3, 3]
    np.testing.assert_allclose(xyz_mm, truth(still)[1], atol=10)
    assert (tmp_path / "overlay.png").exists()

    rgb, _, camera, _ = files
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.zeros((480, 640), np.uint16))
    with pytest.raises(SystemExit, match="not found: "):
        run(
            *("02_own_cad.py", still / "models/obj_000001.ply", "mm"),
            *(rgb, blank, camera, tmp_path / "overlay.png"),
        )


def test_03_lists_the_instances_of_a_bin_by_distance(data, run):
    cans = data / "bin"
    out = run("03_bin.py", *images(cans), cans / "objects.yaml", 0, 0, 640, 480)
    found = [float(m) for m in re.findall(r"soup_can_\d score [\d.]+, ([\d.]+) m from", out)]
    expected = sorted(xyz[2] / 1000 for xyz in truth(cans).values())
    np.testing.assert_allclose(found, expected, atol=0.01)

    left, *_ = sorted(truth(cans).values(), key=lambda xyz: xyz[0] / xyz[2])
    middle = 572 * left[0] / left[2] + 319.5
    out = run("03_bin.py", *images(cans), cans / "objects.yaml", 0, 0, int(middle) + 30, 480)
    (found,) = re.findall(r"soup_can_\d score [\d.]+, ([\d.]+) m from", out)
    assert float(found) == pytest.approx(left[2] / 1000, abs=0.01)


def test_04_tracks_both_objects_through_the_recording(data, run):
    moving = data / "moving"
    out = run("04_track.py", moving / "test/000000", moving / "objects.yaml")
    lines = re.findall(r"^frame \d+ \(\d+ ms\): (.*)$", out, re.MULTILINE)
    assert len(lines) == 15
    assert all("soup_can_1" in line and "tea_box_1" in line for line in lines)
    gt = json.loads((moving / "test/000000/scene_gt.json").read_text())["15"]
    last = dict(re.findall(r"<(\w+)_1 score=[\d.]+ xyz_mm=\(([^)]+)\)", lines[-1]))
    for entry, name in zip(gt, ("tea_box", "soup_can"), strict=True):
        xyz = np.array(last[name].split(", "), float)
        np.testing.assert_allclose(xyz, entry["cam_t_m2c"], atol=10)


def test_06_measures_a_dataset(data, run):
    out = run("06_evaluate.py", data / "still")
    rows = [line.split() for line in out.splitlines() if re.match(r" *(obj_0|all|\d)", line)]
    assert len(rows) == 4
    assert all("100" in row[:4] for row in rows), out
