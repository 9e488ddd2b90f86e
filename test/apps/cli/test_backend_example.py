"""The example backend: installed as a package, run by the command, with functions that fail."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.bop_folder import CAMERA, POSES, SIZES

from sam6d_ros.errors import InvalidConfig

pytestmark = pytest.mark.slow  # each test starts the command

REPO = Path(__file__).resolve().parents[3]

FUNCTIONS = """
import numpy as np

def moved(frame, model, mask):
    pose = np.eye(4)
    pose[:3, 3] = 0.1, 0.2, 0.3
    return pose

def broken(frame, model, mask):
    raise ZeroDivisionError("by the method")

def nan(frame, model, mask):
    return np.full((4, 4), np.nan)

def none(frame, model, mask):
    return None
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder with the installed package, and a module of functions."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    shutil.copytree(REPO / "examples/07_own_backend", source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", folder / "site"]
    subprocess.run([*pip, *options, source], check=True)
    (folder / "site/my_method.py").write_text(FUNCTIONS)
    return folder / "site"


@pytest.fixture
def estimate(installed, scene, tmp_path):
    """Run `sam6d estimate --backend example`; returns exit code, poses and stderr."""

    def run(options=""):
        words = [
            *("--rgb", scene / "rgb/000007.png", "--depth", scene / "depth/000007.png"),
            *("--camera", scene / "scene_camera.json", "--cad-unit", "mm"),
            *("--cad", scene.parents[1] / "models/obj_000001.ply"),
            *("--backend", "example", "--backend-options", options),
            *("--out", tmp_path / "out", "--cache-dir", tmp_path / "cache"),
        ]
        command = [sys.executable, "-m", "sam6d_ros.apps.cli.main", "estimate", *words]
        path = os.pathsep.join([str(installed), str(REPO)])
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        file = tmp_path / "out/poses.json"
        poses = json.loads(file.read_text())["poses"] if file.exists() else None
        return done.returncode, poses, done.stderr

    return run


def test_the_poses_are_those_of_the_placeholder(estimate):
    code, poses, err = estimate()
    assert code == 0, err
    (pose,) = poses
    assert pose["R"] == np.eye(3).tolist()
    # The camera sees the near side: the centroid lies before the centre, in its line of sight.
    truth = POSES[1][:3, 3]
    assert 0 < truth[2] - pose["t"][2] < max(SIZES[1]) / 2
    pixels = [CAMERA.matrix[:2] @ (point / point[2]) for point in (np.array(pose["t"]), truth)]
    assert np.linalg.norm(pixels[0] - pixels[1]) < 3


def test_the_options_name_another_function(estimate):
    code, poses, err = estimate("my_method:moved")
    assert code == 0, err
    assert poses[0]["t"] == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("function", "code", "complaints"),
    [
        ("broken", 1, ["Traceback", "my_method.py", "ZeroDivisionError: by the method"]),
        ("nan", 1, ["InvariantError", "nan, for obj_000001", "not finite"]),
        ("missing", 2, ["backend_options is 'my_method:missing'; expected module:function"]),
    ],
)
def test_a_function_that_fails_is_reported(estimate, function, code, complaints):
    found, poses, err = estimate(f"my_method:{function}")
    assert (found, poses) == (code, None)
    for complaint in complaints:
        assert complaint in err


def test_a_function_without_a_pose_gives_an_empty_result(estimate):
    code, poses, _ = estimate("my_method:none")
    assert (code, poses) == (3, [])


def test_a_module_that_python_does_not_find_is_refused_with_the_remedy():
    backend = runpy.run_path(str(REPO / "examples/07_own_backend/backend_example.py"))["BACKEND"]
    with pytest.raises(InvalidConfig, match=r"No module named 'absent_method'.*PYTHONPATH=\."):
        backend.parse_options("absent_method:pose")
