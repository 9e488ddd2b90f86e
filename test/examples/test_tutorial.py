"""Commands and scripts of docs/tutorial.md that need neither a camera nor a graph, in order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from sam6d_ros.apps.compiled_loops import keep_compiled_loops
from sam6d_ros.evaluation.synthetic.objects import bracket

pytestmark = pytest.mark.slow  # searches in images

PAGE = (Path(__file__).resolve().parents[2] / "docs/tutorial.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [text for language, text in BLOCKS if not language]


@pytest.fixture
def part(tmp_path, monkeypatch):
    """A folder with a CAD file, as the reader has one."""
    keep_compiled_loops()  # before the cache moves
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    solid = bracket()
    mesh = trimesh.Trimesh(1000 * solid.vertices, solid.faces)
    mesh.export(tmp_path / "part.stl")
    return tmp_path


def shell(block):
    """Run the lines of a block; `sam6d` is the command of this environment."""
    command = f"{sys.executable} -m sam6d_ros.apps.cli.main"
    script = re.sub(r"^sam6d ", f"{command} ", block, flags=re.MULTILINE)
    run = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_steps_lead_from_a_cad_file_to_a_grasp(part, capsys):
    assert "part" in shell(block_with("sam6d onboard"))
    shell(block_with("sam6d demo"))
    assert (part / "trial/overlay.png").exists()
    shell(block_with("cp trial/"))

    names: dict = {}
    exec(PYTHON[0], names)
    assert re.search(r"<part_0 score=[01]\.\d+ xyz_mm=", capsys.readouterr().out)
    assert cv2.imread(str(part / "overlay.png")).shape == (480, 640, 3)
    exec(PYTHON[1], names)
    assert re.match(r"fingers at \[.*\] m, \d+ mm apart\n", capsys.readouterr().out)
    away_m = names["cam_from_grip"][:3, 3] - names["best"].cam_from_obj[:3, 3]
    assert np.linalg.norm(away_m) < names["engine"].objects["part"].diameter

    shell(block_with("sam6d estimate"))
    assert (part / "out/debug/index.md").exists()


def block_with(text):
    (block,) = (block for block in SHELL if block.startswith(text))
    return block
