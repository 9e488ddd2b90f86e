"""`sam6d` with the geometric backend on a real frame, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sam6d_ros.apps.cli.main import main

LM = Path(__file__).parents[4] / "shared/real/lm"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LM.is_dir(), reason="the real frames of ../shared/real are absent"),
]


def test_the_cat_is_found_without_weights(tmp_path):
    scene = LM / "test/000000"
    arguments = {
        "--rgb": scene / "rgb/000001.png",
        "--depth": scene / "depth/000001.png",
        "--camera": scene / "scene_camera.json",
        "--cad": LM / "models/obj_000006.ply",
        "--backend": "geometric",
        "--out": tmp_path,
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    assert main(["estimate", *words, "--debug"]) == 0
    best = json.loads((tmp_path / "poses.json").read_text())["poses"][0]
    (truth,) = json.loads((scene / "scene_gt.json").read_text())["1"]
    off = [1000 * a - b for a, b in zip(best["t"], truth["cam_t_m2c"], strict=True)]
    assert max(map(abs, off)) < 10, f"off by {off} mm"
    assert {path.name for path in (tmp_path / "debug").iterdir()} >= {"index.md", "candidates.png"}


def test_the_evaluation_of_a_real_dataset_has_every_part(tmp_path):
    csv, scores = tmp_path / "lm.csv", tmp_path / "lm.json"
    arguments = ["--backend", "geometric", "--csv", str(csv), "--json", str(scores)]
    assert main(["eval", str(LM), *arguments]) == 0
    assert csv.read_text().splitlines()[1].startswith("0,1,6,")
    values = json.loads(scores.read_text())
    assert values["summary"]["all"]["add_s"] == 1
    assert values["summary"]["all"]["ar"] > 0.7
