"""A dataset on disk, and the command with stages that know its poses."""

from __future__ import annotations

import re

import numpy as np
import pytest
import trimesh
from support.backend_double import BackendDouble
from support.bop_folder import POSES, BopFolder
from support.oracles import OracleStages

from sam6d_ros.apps.cli.main import main
from sam6d_ros.runtime import build


@pytest.fixture
def folder(tmp_path):
    return BopFolder(tmp_path / "set")


@pytest.fixture
def scene(folder):
    """The scene folder of the written dataset."""
    return folder.write() / "test" / "000003"


@pytest.fixture
def stages(monkeypatch):
    known = {f"obj_{i:06d}": pose for i, pose in POSES.items()}
    oracle = OracleStages(known)
    oracle.backend = BackendDouble(oracle, oracle, oracle, oracle)
    monkeypatch.setattr(build, "choose_backend", oracle.backend.choose)
    return oracle


@pytest.fixture
def sam6d(capsys, stages, tmp_path):
    """Run the command: returns (exit code, stdout, stderr). Objects are cached per test."""

    def run(*args: object, cache: bool = True) -> tuple[int, str, str]:
        words = [str(arg) for arg in args]
        if cache and words[0] != "demo":
            words += ["--cache-dir", str(tmp_path / "cache")]
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def objects(tmp_path):
    """An objects file with coloured boxes, of the engine's double."""
    from support.ros.engine_double import BOX_SIZE, COLOURS  # most tests here need no ROS

    for name, colour in COLOURS.items():
        box = trimesh.creation.box(np.array(BOX_SIZE))
        box.visual.vertex_colors = np.tile([*colour, 255], (len(box.vertices), 1))
        box.export(tmp_path / f"{name}.ply")
    entries = "".join(f"- {{name: {name}, mesh: {name}.ply, unit: m}}\n" for name in COLOURS)
    path = tmp_path / "objects.yaml"
    path.write_text(f"objects:\n{entries}")
    return path


@pytest.fixture
def colour_stages(monkeypatch):
    """Stages whose result depends on the frame: where the coloured pixels are."""
    from support.ros.engine_double import CentroidEstimator, ColourScorer, OneProposal

    stage = CentroidEstimator()
    backend = BackendDouble(OneProposal(), ColourScorer(), stage, stage)
    monkeypatch.setattr(build, "choose_backend", backend.choose)
    return backend


@pytest.fixture
def offline(colour_stages, objects, tmp_path, capsys):
    """Run the command on a bag; returns (exit code, stderr), the result is in `out`."""

    def run(bag, *args):
        words = ["offline", "--bag", bag, "--out", tmp_path / "out", "--objects", objects, *args]
        code = main([str(w) for w in (*words, "--cache-dir", tmp_path / "cache")])
        return code, re.sub(r"\s+", " ", capsys.readouterr().err)

    return run
