"""Which input `sam6d offline` takes or refuses, and the arguments of `replay` and `record`."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from support.bag_maker import camera_messages, moving_frames, read, stamp_ns, write_bag
from support.ros.probe import DEPTH, FRAME_ID, INFO, RGB

from sam6d_ros.apps.cli.main import build_parser, main
from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.bags.definitions import type_name_of
from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.apps.ros.bags.writer import BagWriter
from sam6d_ros.frames.recordings import Recording
from sam6d_ros.runtime import build

POSES = "/pose_node/detections"


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
    monkeypatch.setattr(build, "choose_backend", None)
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


def test_implausible_frames_are_used_and_reported_once(offline, tmp_path, caplog):
    frames = moving_frames()
    for index, (_, depth, info) in enumerate(frames):
        depth.header = conversions.header_from(stamp_ns(index), "depth_frame")
        info.d = [0.1, 0.0, 0.0, 0.0, 0.0]
    assert offline(write_bag(tmp_path / "bag", frames))[0] == 0
    assert caplog.text.count("depth is in frame 'depth_frame' but rgb in") == 1
    assert caplog.text.count("is not zero: the images are taken as rectified") == 1


def test_objects_too_large_for_the_scene_are_refused_before_a_bag_is_made(offline, tmp_path):
    rgb, _, info = camera_messages(0)
    near_m = np.full((60, 80), 0.03, np.float32)
    depth = conversions.depth_image_from_metres(near_m, rgb.header)
    code, err = offline(write_bag(tmp_path / "bag", [(rgb, depth, info)]))
    assert code == 2
    assert "0.229 m across" in err
    assert not (tmp_path / "out").exists()


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
        (["--start", "0.3", "--duration", "0.05", "--loop"], "no message of these topics is in"),
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
