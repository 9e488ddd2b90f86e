"""Results files, runs over a dataset, and the report."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console
from support.bop_folder import POSES, BopFolder, models

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation import report, runner
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.evaluation.results_csv import ImageResult, read_csv, write_csv
from sam6d_ros.geometry import se3
from sam6d_ros.types import PoseEstimate, PoseEstimates

NAMES = {1: "obj_000001", 5: "obj_000005"}


def oracle(frame, names):
    """A method with full scores for object 1 and low ones for object 5."""
    poses = {NAMES[i]: pose for i, pose in POSES.items()}
    off = poses["obj_000005"] @ se3.exp([0.1, 0, 0, 0, 0, 0])
    found = {"obj_000001": (0.9, poses["obj_000001"]), "obj_000005": (0.2, off)}
    items = tuple(PoseEstimate(name, *found[name]) for name in names)
    return PoseEstimates(items, frame.stamp_ns, frame.frame_id)


@pytest.fixture
def dataset(tmp_path):
    return BopDataset(BopFolder(tmp_path / "set").write())


@pytest.fixture
def results(dataset):
    return [runner.run_image(dataset, t, NAMES, oracle) for t in dataset.targets()]


def test_all_targets_of_an_image_are_searched_together(dataset):
    asked = []

    def method(frame, names):
        asked.append(list(names))
        return PoseEstimates.empty(frame, "not here")

    result = runner.run_image(dataset, dataset.targets()[0], NAMES, method)
    assert asked == [["obj_000001", "obj_000005"]]
    assert (result.estimates, result.reason) == ((), "not here")


def test_the_csv_is_as_bop_defines_it(tmp_path, results):
    write_csv(tmp_path / "out.csv", results)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "scene_id,im_id,obj_id,score,R,t,time"
    assert len(lines) == 5
    scene, image, obj, score, rotation, translation, time_s = lines[1].split(",")
    assert (scene, image, obj, float(score)) == ("3", "7", "1", 0.9)
    assert np.array(rotation.split(), float) == pytest.approx(POSES[1][:3, :3].ravel())
    assert np.array(translation.split(), float) == pytest.approx(1000 * POSES[1][:3, 3])
    assert float(time_s) > 0
    assert len({line.rsplit(",", 1)[1] for line in lines[1:3]}) == 1, "one time per image"


def test_a_csv_read_again_scores_the_same(tmp_path, dataset, results):
    write_csv(tmp_path / "out.csv", results)
    again = read_csv(tmp_path / "out.csv")
    targets = dataset.targets()
    scored = [
        report.summarize(list(runner.score_results(dataset, targets, r, models(), 0.3)))
        for r in (results, again)
    ]
    for key in ("add", "add_s", "vsd", "mssd", "mspd", "ar", "targets", "rejected"):
        assert scored[0][key] == scored[1][key], key


def test_scores_of_other_methods_keep_their_order(tmp_path):
    rows = ["scene_id,im_id,obj_id,score,R,t,time"]
    rows += [f"1,1,1,{score},1 0 0 0 1 0 0 0 1,0 0 500,0.5" for score in (120, -3, 44)]
    (tmp_path / "other.csv").write_text("\n".join(rows))
    (result,) = read_csv(tmp_path / "other.csv")
    values = [estimate.score for _, estimate in result.estimates]
    assert all(0 <= value <= 1 for value in values)
    assert np.argsort(values).tolist() == [1, 2, 0]
    assert result.time_s == 0.5


def test_a_damaged_csv_is_named(tmp_path):
    with pytest.raises(InvalidDataset, match="does not exist"):
        read_csv(tmp_path / "no.csv")
    (tmp_path / "bad.csv").write_text("1,2,3,0.5,1 0 0,0 0 0,1\n")
    with pytest.raises(InvalidDataset, match=r"bad\.csv"):
        read_csv(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,2,3,nan,1 0 0 0 1 0 0 0 1,0 0 500,1", "score nan"),
        ("1,2,3,inf,1 0 0 0 1 0 0 0 1,0 0 500,1", "score inf"),
        ("1,2,3,0.5,1 0 0 0 1 0 0 0 1,0 0 500,nan", "time nan"),
        ("1,2,3,0.5,1 0 0 0 1 0 0 0 1,0 nan 500,1", "not finite"),
        ("1,2,3,0.5,2 0 0 0 1 0 0 0 1,0 0 500,1", "no proper rotation"),
        ("1,2,3,0.5,1 0 0 0 1 0 0 0 1,0 0 500", "6 columns"),
    ],
)
def test_a_damaged_line_is_refused_by_its_number(tmp_path, line, reason):
    """A NaN score became 1.0, the best of all."""
    good = "1,2,3,0.5,1 0 0 0 1 0 0 0 1,0 0 500,1"
    (tmp_path / "bad.csv").write_text(f"scene_id,im_id,obj_id,score,R,t,time\n{good}\n{line}\n")
    with pytest.raises(InvalidDataset, match=f"line 3: .*{reason}"):
        read_csv(tmp_path / "bad.csv")


def test_the_report_counts_hits_rejections_and_times(dataset, results):
    timed = [ImageResult(r.scene_id, r.im_id, r.estimates, 3.0) for r in results]
    targets = dataset.targets()
    scored = list(runner.score_results(dataset, targets, timed, models(), reject_below=0.3))
    summary = report.summarize_by_object(scored, NAMES)
    assert list(summary) == ["obj_000001", "obj_000005", "all"]
    assert summary["obj_000001"]["ar"] == 1
    assert summary["obj_000005"]["add"] == 0
    assert summary["all"]["add"] == 0.5
    assert summary["all"]["targets"] == 4
    assert summary["all"]["rejected"] == 2, "the unsure estimates of object 5"
    assert summary["all"]["median_time_per_object_s"] == 1.5, "two objects share an image"


def test_targets_without_an_estimate_count_as_missed(dataset):
    scored = list(runner.score_results(dataset, dataset.targets(), [], models()))
    summary = report.summarize_by_object(scored, NAMES)
    assert summary["all"]["ar"] == 0
    assert np.isnan(summary["all"]["median_time_per_object_s"])


def test_images_without_ground_truth_are_not_scored(tmp_path):
    dataset = BopDataset(BopFolder(tmp_path / "set", with_truth=False).write())
    assert list(runner.score_results(dataset, dataset.targets(), [], models())) == []


def test_the_table_and_the_json_hold_the_numbers(dataset, results):
    scored = list(runner.score_results(dataset, dataset.targets(), results, models(), 0.3))
    summary = report.summarize_by_object(scored, NAMES)
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(report.table(summary, "boxes"))
    text = console.export_text()
    assert "obj_000005" in text
    assert "100.0" in text
    values = json.loads(json.dumps(report.as_json(summary, scored, results, NAMES)))
    assert values["summary"]["all"]["add"] == 0.5
    assert values["targets"][1]["estimates"][0]["translation_mm"] == pytest.approx(100)
    assert set(values["machine"]) == {"cpu", "cores", "python"}


def test_the_table_keeps_the_names_in_80_columns(dataset, results):
    scored = list(runner.score_results(dataset, dataset.targets(), results, models(), 0.3))
    summary = report.summarize_by_object(scored, NAMES)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.table(summary, "boxes"))
    text = console.export_text()
    assert re.search(r"^ *obj_000005 +2 .* \d+ *$", text, re.MULTILINE), text
    assert "rejected" in text
    assert "…" not in text


def test_json_has_no_nan(dataset):
    scored = list(runner.score_results(dataset, dataset.targets(), [], models()))
    summary = report.summarize_by_object(scored, NAMES)
    text = json.dumps(report.as_json(summary, scored, [], NAMES), allow_nan=False)
    assert "null" in text
