"""A scan while its frames come, in two passes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sam6d_ros.cad.objects import load_objects
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic.orbit import Orbit
from sam6d_ros.scan.live import LiveScan, ScanRequest


def test_the_turned_object_is_a_second_pass(recorded: Orbit, turned: Orbit, tmp_path: Path) -> None:
    scan = LiveScan(ScanRequest("part", tmp_path, 100, has_poses=True))
    with pytest.raises(InvalidInput, match="0 frames were recorded; expected at least 8"):
        scan.turn()
    for frame, pose in zip(recorded.frames[::2], recorded.world_from_cam[::2], strict=True):
        scan.current.add(frame, pose)
    scan.turn()
    for frame, pose in zip(turned.frames, turned.world_from_cam, strict=True):
        scan.current.add(frame, pose)
    with pytest.raises(InvalidInput, match="turned over already"):
        scan.turn()
    stages: list[str] = []
    said = scan.make(lambda stage, done, count: stages.append(stage))
    assert "from below" not in said
    assert set(stages) == {"fusing"}
    report = json.loads((tmp_path / "part/report.json").read_text())
    assert [one["motion"] for one in report["recordings"]] == ["poses", "poses"]
    (model,) = load_objects(tmp_path / "part/objects.yaml")
    assert model.diameter == pytest.approx(0.1636, abs=0.01)  # of the filmed bracket
