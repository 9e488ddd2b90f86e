"""`sam6d offline`, and the arguments of `sam6d replay` and `sam6d record`."""

from __future__ import annotations

import csv
import json
import os
import signal

import numpy as np
import pytest
from support.bag_maker import RED, camera_messages, moving_frames, read, stamp_ns, write_bag
from support.ros.engine_double import (
    NOT_IN_VIEW,
)
from support.ros.probe import DEPTH, FRAME_ID, INFO, RGB

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.runtime.build import EngineSpec, build_engine

POSES, MASKS, TF = "/pose_node/detections", "/segmentation_node/masks", "/tf"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_offline_poses_are_those_of_the_engine_on_the_frames(offline, objects, tmp_path, storage):
    frames = moving_frames()
    bag = write_bag(tmp_path / "bag", frames, storage)
    code, _ = offline(bag, "--storage", storage, "--tf-prefix", "cell/")
    assert code == 0
    content = read(tmp_path / "out")
    assert set(content) == {POSES, MASKS, TF}
    same = build_engine(EngineSpec(cache_dir=tmp_path / "cache", objects_file=objects))
    expected = [same.run(conversions.frame_from_messages(*messages)) for messages in frames]
    assert [len(poses) for poses in expected] == [2, 2, 1]
    with BagReader(bag) as source:
        receipts = sorted({r.time_ns for r in source.messages(source.topics)})
    for topic in (POSES, MASKS, TF):
        assert [time_ns for time_ns, _ in content[topic]] == receipts
    entries = json.loads((tmp_path / "out/poses.json").read_text())["frames"]
    for index, poses in enumerate(expected):
        header = frames[index][0].header
        detections, masks = content[POSES][index][1], content[MASKS][index][1]
        assert detections == conversions.detection_3d_array(poses, header, same.objects)
        assert (masks.header, len(masks.instances)) == (header, len(poses))
        transforms = conversions.transforms_from_poses(poses, header, "cell/")
        assert content[TF][index][1].transforms == transforms
        assert entries[index]["stamp_ns"] == stamp_ns(index)
        for pose, written in zip(poses.items, entries[index]["poses"], strict=True):
            np.testing.assert_allclose(written["t"], pose.cam_from_obj[:3, 3])


def test_the_csv_has_a_row_per_pose_and_one_per_empty_frame(offline, tmp_path):
    frames = [camera_messages(0, [RED]), camera_messages(1, [])]
    assert offline(write_bag(tmp_path / "bag", frames))[0] == 0
    found, empty = csv.DictReader((tmp_path / "out/poses.csv").open())
    assert (found["name"], found["frame_id"], found["score"]) == ("red_box", FRAME_ID, "0.7500")
    assert float(found["z"]) == pytest.approx(1.0)
    assert (empty["name"], empty["reason"]) == ("", NOT_IN_VIEW)
    assert [row["stamp_ns"] for row in (found, empty)] == [str(stamp_ns(i)) for i in (0, 1)]


def test_nothing_found_has_its_own_exit_code_and_empty_messages(offline, tmp_path):
    code, _ = offline(write_bag(tmp_path / "bag", [camera_messages(0, [])]))
    assert code == 3
    content = read(tmp_path / "out")
    assert content[POSES][0][1].header.frame_id == FRAME_ID
    assert content[MASKS][0][1].reason == NOT_IN_VIEW
    assert content[TF] == []


def test_every_nth_frame_and_the_input_kept(offline, tmp_path):
    bag = write_bag(tmp_path / "bag", moving_frames(5))
    assert offline(bag, "--every", 2, "--keep-input")[0] == 0
    content, source = read(tmp_path / "out"), read(bag)
    stamps = [conversions.stamp_ns_of(message.header) for _, message in content[POSES]]
    assert stamps == [stamp_ns(i) for i in (0, 2, 4)]
    for topic in (RGB, DEPTH, INFO):
        assert content[topic] == source[topic]


def test_results_in_the_input_are_replaced_and_transforms_added_to(offline, tmp_path, caplog):
    assert offline(write_bag(tmp_path / "bag", moving_frames()), "--keep-input")[0] == 0
    (tmp_path / "out").rename(tmp_path / "first")
    assert offline(tmp_path / "first", "--keep-input")[0] == 0
    content = read(tmp_path / "out")
    assert len(content[POSES]) == 3
    assert len(content[TF]) == 6
    assert f"{POSES} is not copied: its new results replace it" in caplog.text


def test_frames_that_cannot_be_used_are_counted_by_their_reason(offline, tmp_path):
    frames = [camera_messages(index) for index in range(4)]
    frames[1][1].encoding = "8UC1"
    frames[2][1].encoding = "8UC1"
    code, err = offline(write_bag(tmp_path / "bag", frames))
    assert code == 0
    assert "2 frames could not be used: 2 × depth encoding is '8UC1'" in err
    assert len(read(tmp_path / "out")[POSES]) == 2


def test_a_defect_in_a_stage_does_not_lose_the_other_frames(
    offline, colour_stages, tmp_path, monkeypatch
):
    score, calls = colour_stages.scorer.score, []

    def broken_once(frame, *more):
        calls.append(frame)
        if len(calls) == 3:  # 1 is the warm-up
            raise ZeroDivisionError("a defect")
        return score(frame, *more)

    monkeypatch.setattr(colour_stages.scorer, "score", broken_once)
    code, err = offline(write_bag(tmp_path / "bag", moving_frames()))
    assert code == 1
    assert "1 frames broke the engine: 1 × ZeroDivisionError: a defect" in err
    assert len(read(tmp_path / "out")[POSES]) == 2


def test_ctrl_c_keeps_what_is_done(offline, colour_stages, tmp_path, monkeypatch):
    score, calls = colour_stages.scorer.score, []

    def interrupted(frame, *more):
        calls.append(frame)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return score(frame, *more)

    monkeypatch.setattr(colour_stages.scorer, "score", interrupted)
    code, err = offline(write_bag(tmp_path / "bag", moving_frames(5)))
    assert code == 130
    assert "interrupted; what was done is in" in err
    assert len(read(tmp_path / "out")[POSES]) == 2, "the frame in work is finished"
    assert len(json.loads((tmp_path / "out/poses.json").read_text())["frames"]) == 2
