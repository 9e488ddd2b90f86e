"""`sam6d eval`, `onboard`, `demo`, and the help."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.bop_folder import BopFolder
from support.tiny_detector import write_fixed

from sam6d_ros.apps.cli.main import build_parser, main
from sam6d_ros.errors import ResourceExhausted
from sam6d_ros.runtime import build
from sam6d_ros.stages.geometric.backend import GeometricBackend


def rows(path):
    return [line.split(",") for line in path.read_text().splitlines()[1:]]


def test_eval_writes_bop_rows_and_full_recall_for_right_poses(sam6d, folder, stages, tmp_path):
    root = folder.write()
    csv, scores = tmp_path / "a/out.csv", tmp_path / "b/out.json"
    code, out, _ = sam6d("eval", root, "--csv", csv, "--json", scores)
    assert code == 0
    assert "100.0" in out
    assert [row[:3] for row in rows(csv)] == [
        [s, i, o] for s in "3" for i in ("7", "12") for o in "15"
    ]
    assert stages.asked[-2:] == [["obj_000001", "obj_000005"]] * 2, "searched together"
    summary = json.loads(scores.read_text())["summary"]
    assert (summary["all"]["ar"], summary["all"]["add"], summary["all"]["targets"]) == (1, 1, 4)


def summary_of(path):
    return json.loads(path.read_text())["summary"]["all"]


class StrictGeometry(GeometricBackend):
    """The geometric stages with a default threshold between the scores of the two boxes."""

    def pose(self, context):
        return replace(super().pose(context), default_min_score=0.7)


@pytest.fixture
def strict(monkeypatch):
    """Real stages, whose scores of the boxes are 0.85 and 0.62."""
    monkeypatch.setattr(build, "choose_backend", lambda config: StrictGeometry())


def test_eval_keeps_low_scores_and_counts_those_below_the_backends_threshold(
    sam6d, folder, strict, tmp_path
):
    """Low scores were dropped; later, the column had the geometric threshold for all backends."""
    csv, scores = tmp_path / "out.csv", tmp_path / "out.json"
    assert sam6d("eval", folder.write(), "--csv", csv, "--json", scores)[0] == 0
    assert sorted(float(row[3]) < 0.7 for row in rows(csv)) == [False, False, True, True]
    assert (summary_of(scores)["rejected"], summary_of(scores)["add_s"]) == (2, 1)


def test_a_threshold_given_to_eval_rejects(sam6d, folder, strict, tmp_path):
    """As everywhere (docs/conventions.md), also when the results come from a file."""
    root, csv, scores = folder.write(), tmp_path / "out.csv", tmp_path / "out.json"
    assert sam6d("eval", root, "--csv", csv, "--json", scores, "--min-score", 0.75)[0] == 0
    assert [row[2] for row in rows(csv)] == ["1", "1"]
    assert (summary_of(scores)["rejected"], summary_of(scores)["add_s"]) == (0, 0.5)
    again = ["--from-csv", csv, "--json", scores]
    assert sam6d("eval", root, *again, "--min-score", 0.95)[0] == 0
    assert summary_of(scores)["add_s"] == 0
    assert sam6d("eval", root, *again)[0] == 0
    assert (summary_of(scores)["rejected"], summary_of(scores)["add_s"]) == (0, 0.5)


@pytest.mark.parametrize("source", ["engine", "file"])
def test_a_threshold_out_of_range_is_refused_by_eval(sam6d, folder, tmp_path, source):
    (tmp_path / "no.csv").write_text("1,2,3,0.5,1 0 0 0 1 0 0 0 1,0 0 500,1\n")
    more = ["--from-csv", tmp_path / "no.csv"] if source == "file" else []
    code, _, err = sam6d("eval", folder.write(), "--min-score", 1.4, *more)
    assert code == 2
    assert "min_score" in err
    assert "1.4" in err


def test_no_instances_at_all_are_refused_by_eval(sam6d, folder):
    code, _, err = sam6d("eval", folder.write(), "--max-instances", 0)
    assert code == 2
    assert "max_instances 0" in err


def test_eval_of_a_part(sam6d, folder, tmp_path):
    csv = tmp_path / "out.csv"
    root = folder.write()
    assert sam6d("eval", root, "--object-ids", 5, "--scenes", 3, "--csv", csv)[0] == 0
    assert {row[2] for row in rows(csv)} == {"5"}
    code, _, err = sam6d("eval", root, "--scenes", 4)
    assert code == 2
    assert "no target" in err


def test_eval_searches_in_boxes(sam6d, folder, tmp_path):
    root, scores = folder.write(), tmp_path / "scores.json"
    words = ["eval", root, "--json", scores]
    assert sam6d(*words, "--boxes", "gt")[0] == 0
    assert json.loads(scores.read_text())["summary"]["all"]["add"] == 1
    code, _, err = sam6d(*words, "--boxes", "gt", "--detector", "model.pt")
    assert code == 2
    assert "exclude each other" in err


@pytest.mark.sam6d
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_eval_searches_in_the_boxes_of_a_detector(sam6d, folder, tmp_path):
    """The detector can report both objects, and reports one."""
    root, scores = folder.write(), tmp_path / "scores.json"
    write_fixed(
        tmp_path / "detector",
        [("obj_000001", 20, 30, 90, 90), ("obj_000005", 0, 0, 10, 10)],
    )
    assert sam6d("eval", root, "--json", scores, "--detector", tmp_path / "detector")[0] == 0
    rows = json.loads(scores.read_text())["summary"]
    assert (rows["obj_000001"]["add"], rows["obj_000005"]["add"]) == (1, 0)


@pytest.mark.parametrize("variant", [{"with_targets": False}, {}])
def test_eval_without_ground_truth_still_writes_the_csv(sam6d, tmp_path, variant):
    root = BopFolder(
        tmp_path / "held_out", with_truth=False, with_colors=False, suffix=".jpg", **variant
    ).write()
    code, out, _ = sam6d("eval", root, "--csv", tmp_path / "out.csv")
    assert code == 0
    assert len(rows(tmp_path / "out.csv")) == 4
    assert "no ground truth" in out


def test_eval_scores_somebody_elses_results(sam6d, folder, stages, tmp_path):
    root = folder.write()
    sam6d("eval", root, "--csv", tmp_path / "out.csv")
    kept = (tmp_path / "out.csv").read_text().splitlines()[:3]  # of the first image only
    (tmp_path / "half.csv").write_text("\n".join(kept) + "\n")
    before = len(stages.frames)
    code, _, _ = sam6d(
        "eval", root, "--from-csv", tmp_path / "half.csv", "--json", tmp_path / "half.json"
    )
    assert code == 0
    assert len(stages.frames) == before, "nothing is run"
    assert json.loads((tmp_path / "half.json").read_text())["summary"]["all"]["ar"] == 0.5


def test_a_failing_image_does_not_lose_the_others(sam6d, folder, stages, tmp_path):
    root = folder.write()
    (root / "test/000003/rgb/000007.png").write_bytes(b"no image")
    csv, scores = tmp_path / "out.csv", tmp_path / "out.json"
    code, _, err = sam6d("eval", root, "--csv", csv, "--json", scores, "--object-ids", 1)
    assert code == 2
    assert "image 7 failed" in err
    assert "Traceback" not in err
    assert [row[1] for row in rows(csv)] == ["12"]
    assert summary_of(scores)["ar"] == 0.5


@pytest.mark.parametrize(
    ("error", "code", "traceback"),
    [
        (ZeroDivisionError("a defect"), 1, True),
        (ResourceExhausted("no memory for 4 views"), 4, False),
    ],
)
def test_a_failing_stage_is_shown_and_counted_by_the_error_table(
    sam6d, folder, stages, tmp_path, monkeypatch, error, code, traceback
):
    root = folder.write()
    (root / "test/000003/rgb/000012.png").write_bytes(b"no image")
    original, calls = stages.score, []

    def score(scene, proposals, objects, limits):
        calls.append(len(objects))
        if len(calls) == 2:  # 1 is the warm-up
            raise error
        return original(scene, proposals, objects, limits)

    monkeypatch.setattr(stages, "score", score)
    given, _, err = sam6d("eval", root, "--csv", tmp_path / "out.csv")
    assert given == code, "graver than the unreadable image"
    assert ("Traceback" in err) is traceback
    assert str(error) in err


def test_objects_of_one_name_keep_their_ids(sam6d, folder, tmp_path):
    root = folder.write()
    info = json.loads((root / "models/models_info.json").read_text())
    for entry in info.values():
        entry["name"] = "thing"
    (root / "models/models_info.json").write_text(json.dumps(info))
    assert sam6d("eval", root, "--csv", tmp_path / "out.csv")[0] == 0
    assert {row[2] for row in rows(tmp_path / "out.csv")} == {"1", "5"}


def test_onboard_says_what_it_made_of_a_mesh(sam6d, scene):
    mesh = scene.parents[1] / "models/obj_000001.ply"
    code, out, _ = sam6d("onboard", mesh, "--cad-unit", "mm")
    assert code == 0
    for word in ("obj_000001", "215.4 mm", "80.0", "12 faces", "mm", "\n1 object in "):
        assert word in out, word
    (cached,) = (word for word in out.split() if word.endswith(".npz"))
    assert Path(cached).is_file()
    code, out, _ = sam6d("onboard", mesh, "--cad-unit", "mm", "--json")
    (values,) = json.loads(out)
    assert values["diameter_m"] == pytest.approx(0.21541, abs=1e-4)


def test_onboard_of_nothing(sam6d):
    code, _, err = sam6d("onboard")
    assert code == 2
    assert "no CAD model" in err


@pytest.mark.parametrize("command", ["estimate", "eval", "onboard", "demo"])
def test_the_help_of_every_command_has_examples(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "examples:" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["estimate", "eval", "onboard", "demo"])
def test_every_example_in_the_help_is_understood(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = re.sub(r"\\\n\s+", "", capsys.readouterr().out)
    lines = [line.strip() for line in text.split("examples:")[1].split("\n\n")[0].splitlines()]
    examples = [line.split("  ")[0] for line in lines if line]  # a remark may follow two spaces
    assert len(examples) >= 3
    for example in examples:
        program, *words = example.split()
        assert program == "sam6d"
        assert build_parser().parse_args(words).command == command


def test_unknown_arguments_are_bad_input(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["estimate", "--colour", "x"])
    assert stop.value.code == 2


def test_onboard_writes_a_template_once(sam6d, tmp_path):
    path = tmp_path / "mine" / "objects.yaml"
    code, _, err = sam6d("onboard", "--template", path)
    assert code == 0
    assert "sam6d onboard --objects" in err
    assert "objects: []" in path.read_text()
    path.write_text("mine")
    code, _, err = sam6d("onboard", "--template", path)
    assert code == 2
    assert "exists" in err
    assert path.read_text() == "mine"
