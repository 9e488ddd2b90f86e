"""A dataset on disk, and the command with stages that know its poses."""

from __future__ import annotations

import pytest
from bop_folder import POSES, BopFolder
from oracles import OracleStages

from sam6d_ros.apps.cli.main import main
from sam6d_ros.pipeline import PoseEstimation, Segmentation
from sam6d_ros.runtime import engine


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
    monkeypatch.setattr(engine, "build_segmentation", lambda *_: Segmentation(oracle, oracle))
    monkeypatch.setattr(engine, "build_pose_estimation", lambda *_: PoseEstimation(oracle, oracle))
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
