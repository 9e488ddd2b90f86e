"""`sam6d offline`, and the arguments of `sam6d replay` and `sam6d record`."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sys

import numpy as np
import pytest
import trimesh
from bag_maker import GREEN, RED, camera_messages, stamp_ns, write_bag
from rclpy.qos import QoSProfile
from ros.engine_double import (
    BOX_SIZE,
    COLOURS,
    NOT_IN_VIEW,
    CentroidEstimator,
    ColourScorer,
    OneProposal,
)
from ros.probe import DEPTH, FRAME_ID, INFO, RGB
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sam6d_ros.apps.cli.main import build_parser, main
from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.bags.definitions import type_name_of
from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.apps.ros.bags.writer import BagWriter
from sam6d_ros.apps.ros.recording import Recording
from sam6d_ros.cad.objects import load_objects
from sam6d_ros.config import PipelineConfig
from sam6d_ros.pipeline import PoseEstimation, Segmentation
from sam6d_ros.runtime import engine

POSES, MASKS, TF = "/pose_node/detections", "/segmentation_node/masks", "/tf"


@pytest.fixture
def objects(tmp_path):
    """An objects file with coloured boxes, as the engine's double knows them."""
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
    stage = CentroidEstimator()
    segmentation, pose = Segmentation(OneProposal(), ColourScorer()), PoseEstimation(stage, stage)
    monkeypatch.setattr(engine, "build_segmentation", lambda *_: segmentation)
    monkeypatch.setattr(engine, "build_pose_estimation", lambda *_: pose)
    return segmentation


@pytest.fixture
def offline(colour_stages, objects, tmp_path, capsys):
    """Run the command on a bag; returns (exit code, stderr), the result is in `out`."""

    def run(bag, *args):
        words = ["offline", "--bag", bag, "--out", tmp_path / "out", "--objects", objects, *args]
        code = main([str(w) for w in (*words, "--cache-dir", tmp_path / "cache")])
        return code, re.sub(r"\s+", " ", capsys.readouterr().err)

    return run


def read(path):
    """The messages of a bag by topic, as (time, message)."""
    with BagReader(path) as bag:
        content = {topic.name: [] for topic in bag.topics}
        for recorded in bag.messages(bag.topics):
            content[recorded.topic.name].append((recorded.time_ns, recorded.message()))
    return content


def moving_frames(count=3):
    """Squares whose distance changes from frame to frame; the last frame shows one of them."""
    frames = [camera_messages(index, depth_m=1.0 + 0.1 * index) for index in range(count - 1)]
    return [*frames, camera_messages(count - 1, [GREEN])]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_offline_poses_are_those_of_the_engine_on_the_frames(offline, objects, tmp_path, storage):
    frames = moving_frames()
    bag = write_bag(tmp_path / "bag", frames, storage)
    code, _ = offline(bag, "--storage", storage, "--tf-prefix", "cell/")
    assert code == 0
    content = read(tmp_path / "out")
    assert set(content) == {POSES, MASKS, TF}
    same = engine.Engine(PipelineConfig(backend="geometric"), tmp_path / "cache")
    for model in load_objects(objects, cache_dir=tmp_path / "cache"):
        same.add_object(model)
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
    assert f"{POSES} is not copied: the new results stand there" in caplog.text


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


def test_stamps_that_differ_pair_within_the_slop_only(offline, tmp_path):
    frames = [camera_messages(index) for index in range(3)]
    for index, (_, depth, _) in enumerate(frames):
        depth.header = conversions.header_from(stamp_ns(index) + 30_000_000, FRAME_ID)
    bag = write_bag(tmp_path / "bag", frames)
    code, err = offline(bag, "--slop-s", 0.01)
    assert code == 2
    assert "closest stamps are 0.030 s apart (depth is later) and slop_s is 0.010" in err
    (tmp_path / "out").rename(tmp_path / "first")
    assert offline(bag, "--slop-s", 0.04)[0] == 0
    (tmp_path / "out").rename(tmp_path / "second")
    assert offline(bag, "--slop-s", 0)[0] == 2


def second_camera(path):
    """A bag with two cameras, and pictures that our own nodes publish."""
    kinds = {
        "/left/rgb": (Image, 0),
        "/right/rgb": (Image, 0),
        "/left/depth": (Image, 1),
        "/right/depth_registered": (Image, 1),
        "/left/camera_info": (CameraInfo, 2),
        "/right/camera_info": (CameraInfo, 2),
        "/pose_node/overlay": (Image, 0),
    }
    with BagWriter(path, "mcap") as writer:
        for name, (kind, number) in kinds.items():
            writer.add_topic(name, type_name_of(kind), [QoSProfile(depth=1)])
            writer.write(name, stamp_ns(0), camera_messages(0)[number])


def test_compressed_images_are_found_and_used(offline, tmp_path):
    frames = []
    for index, (rgb, depth, info) in enumerate(moving_frames()):
        frame = conversions.frame_from_messages(rgb, depth, info)
        frames.append(
            [
                conversions.compressed_image_from_rgb(frame.rgb, rgb.header, "png"),
                conversions.compressed_depth_from_metres(frame.depth, rgb.header),
                camera_messages(index)[2],
            ]
        )
    names = {RGB: f"{RGB}/compressed", DEPTH: f"{DEPTH}/compressedDepth"}
    kinds = {RGB: CompressedImage, DEPTH: CompressedImage}
    code, err = offline(write_bag(tmp_path / "bag", frames, names=names, kinds=kinds))
    assert code == 0
    assert "camera: /camera/rgb/compressed, /camera/depth/compressedDepth, /camera/info" in err
    detections = [message.detections for _, message in read(tmp_path / "out")[POSES]]
    assert [len(found) for found in detections] == [2, 2, 1]
    assert detections[1][0].results[0].pose.pose.position.z == pytest.approx(1.1)


def test_two_cameras_want_a_choice_and_the_choice_decides(offline, tmp_path):
    second_camera(tmp_path / "bag")
    code, err = offline(tmp_path / "bag")
    assert code == 2
    assert "2 topics that may be the colour image; choose one by --rgb-topic: " in err
    assert "/left/rgb (rgb8, 1 messages) /right/rgb (rgb8, 1 messages)" in err
    assert "overlay" not in err
    code, err = offline(tmp_path / "bag", "--rgb-topic", "right/rgb")
    assert code == 0
    assert "camera: /right/rgb, /right/depth_registered, /right/camera_info" in err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--rgb-topic", "/nowhere"], "the topic /nowhere is not in it; the bag has /camera/rgb"),
        (["--depth-topic", INFO], "is a sensor_msgs/msg/CameraInfo; expected sensor_msgs/msg/Im"),
        (["--depth-topic", RGB], "cannot be the colour and the depth image"),
        (["--out", "."], "exists; name a new folder"),
        (["--bag", "nowhere"], "nowhere does not exist"),
    ],
)
def test_bad_choices_are_refused_before_anything_is_loaded(
    offline, tmp_path, monkeypatch, options, complaint
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "build_segmentation", None)
    code, err = offline(write_bag(tmp_path / "bag", moving_frames()), *options)
    assert code == 2
    assert complaint in err


def test_a_bag_without_a_camera_lists_what_it_has(offline, tmp_path):
    frames = [camera_messages(0)]
    frames[0][1].encoding = "rgb8"
    code, err = offline(write_bag(tmp_path / "bag", frames), "--rgb-topic", RGB)
    assert code == 2
    assert "no topic that can be the depth image; its topics are /camera/rgb" in err
    assert "--depth-topic" in err
    code, err = offline(write_bag(tmp_path / "empty", []))
    assert code == 2
    assert "no topic that can be the colour image" in err


def test_no_usable_frame_is_bad_input_with_the_reason(offline, tmp_path):
    frames = [camera_messages(0)]
    frames[0][2].width = 17
    code, err = offline(write_bag(tmp_path / "bag", frames))
    assert code == 2
    assert "no frame could be used:" in err
    assert "17" in err


def test_doubtful_frames_are_used_and_doubted_once(offline, tmp_path, caplog):
    frames = moving_frames()
    for index, (_, depth, info) in enumerate(frames):
        depth.header = conversions.header_from(stamp_ns(index), "depth_frame")
        info.d = [0.1, 0.0, 0.0, 0.0, 0.0]
    assert offline(write_bag(tmp_path / "bag", frames))[0] == 0
    assert caplog.text.count("depth is in frame 'depth_frame' but rgb in") == 1
    assert caplog.text.count("is not zero: the images are taken as rectified") == 1


def test_messages_that_cannot_be_read_are_counted(offline, tmp_path):
    source = write_bag(tmp_path / "source", moving_frames())
    with BagReader(source) as bag, BagWriter(tmp_path / "bag", "mcap") as writer:
        for topic in bag.topics:
            writer.copy_topic(topic)
        for number, recorded in enumerate(bag.messages(bag.topics)):
            data = recorded.data[:40] if number == 4 else recorded.data
            writer.write_raw(recorded.topic.name, recorded.time_ns, data)
    code, err = offline(tmp_path / "bag")
    assert code == 0
    assert "1 messages could not be read: 1 × a message of /camera/depth cannot be read" in err
    assert len(read(tmp_path / "out")[POSES]) == 2


@pytest.mark.parametrize("command", ["offline", "replay", "record"])
def test_every_example_in_the_help_is_understood(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = re.sub(r"\\\n\s+", "", capsys.readouterr().out)
    examples = text.split("examples:")[1].split("\n\n")[0].strip().splitlines()
    assert len(examples) >= 3
    for example in examples:
        program, *words = example.split()
        assert program == "sam6d"
        assert build_parser().parse_args(words).command == command


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["replay", "--bag", "b", "--rate", "0"], "expected a number above 0"),
        (["replay", "--bag", "b", "--rate", "nan"], "expected a number above 0"),
        (["replay", "--bag", "b", "--start", "-1"], "expected a number of at least 0"),
        (["replay", "--bag", "b", "--remap", "/a=/b"], "expected OLD:=NEW"),
        (["replay", "--bag", "b", "--topics", "/a b"], "no topic name"),
        (["record", "--out", "o", "--storage", "zip", "/a"], "invalid choice"),
        (["offline", "--bag", "b", "--out", "o", "--every", "0"], "a whole number of at least 1"),
    ],
)
def test_wrong_arguments_are_named(capsys, words, complaint):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_bop_scene_as_a_bag_gives_the_frames_of_the_files(scene, tmp_path):
    bag = tmp_path / "bag"
    assert main(["record", "--frames", str(scene), "--out", str(bag), "--rate", "10"]) == 0
    content = read(bag)
    rgb, depth, info = (
        content[f"/camera/{name}"]
        for name in (
            "color/image_raw",
            "aligned_depth_to_color/image_raw",
            "color/camera_info",
        )
    )
    recording = Recording(scene)
    assert len(recording) == len(rgb) == 2
    for index, messages in enumerate(zip(rgb, depth, info, strict=True)):
        frame = conversions.frame_from_messages(*(message for _, message in messages))
        expected = recording.frame(index)
        np.testing.assert_array_equal(frame.rgb, expected.rgb)
        np.testing.assert_array_equal(frame.depth, expected.depth)
        np.testing.assert_allclose(frame.camera.matrix, expected.camera.matrix)
    assert rgb[1][0] - rgb[0][0] == 100_000_000
    assert main(["record", "--frames", str(tmp_path), "--out", str(tmp_path / "no")]) == 2
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("words", [[], ["--all", "/a"]])
def test_record_wants_topics_or_all(tmp_path, capsys, words):
    assert main(["record", "--out", str(tmp_path / "out"), *words]) == 2
    assert "name the topics to record, or give --all, or --frames DIR" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--topics", "/nowhere"], "the topic /nowhere is not in it"),
        (["--remap", "/nowhere:=/x"], "--remap names ['/nowhere']"),
        (["--start", "100"], "s long; nothing is left from second 100"),
    ],
)
def test_replay_refuses_what_the_bag_does_not_have(tmp_path, capsys, words, complaint):
    bag = write_bag(tmp_path / "bag", moving_frames())
    assert main(["replay", "--bag", str(bag), *words]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("command", ["offline", "replay", "record"])
def test_without_rosbags_the_remedy_is_named(monkeypatch, capsys, tmp_path, command):
    for name in list(sys.modules):
        if name.startswith("sam6d_ros.apps.ros.bags."):
            monkeypatch.delitem(sys.modules, name)
        if name.split(".")[0] == "rosbags":
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.chdir(tmp_path)
    more = {"record": ["--out", "o", "/a"], "replay": ["--bag", "b"]}
    words = more.get(command, ["--bag", "b", "--out", "o", "--cad", "c.ply"])
    assert main([command, *words]) == 4
    assert "`pip install rosbags`" in capsys.readouterr().err
