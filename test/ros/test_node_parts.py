"""The parts of the nodes that hold no node: pairing watch, frame store, status, files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, Image

from sam6d_ros.apps.ros import conversions, pose_node, replay_node, segmentation_node
from sam6d_ros.apps.ros.camera_input import CameraMessages
from sam6d_ros.apps.ros.children import parameter_arguments
from sam6d_ros.apps.ros.frame_store import FrameStore
from sam6d_ros.apps.ros.pairing import PairingWatch
from sam6d_ros.apps.ros.parameters import Parameter, declare
from sam6d_ros.apps.ros.recording import Recording
from sam6d_ros.apps.ros.reports import diagnostic_status
from sam6d_ros.apps.ros.status import NodeStatus, State
from sam6d_ros.errors import InvalidConfig, InvalidDataset, InvalidFrame, ResourceExhausted
from sam6d_ros.msg import InstanceMaskArray

# --- pairing watch


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def watch_with(clock, offset_ns, seconds=5):
    """A watch after some seconds of messages at 10 Hz, ``depth`` stamped later by an offset."""
    watch = PairingWatch(("rgb", "depth"), timeout_s=2.0, clock=clock)
    for tick in range(10 * seconds):
        clock.now += 0.1
        watch.saw("rgb", tick * 100_000_000)
        watch.saw("depth", tick * 100_000_000 + offset_ns)
    return watch


@pytest.mark.parametrize(
    ("offset_ms", "said"),
    [(30, "0.030 s apart (depth is later)"), (-40, "0.040 s apart (depth is earlier)")],
)
def test_the_watch_names_offset_direction_and_remedy(clock, offset_ms, said):
    problem = watch_with(clock, offset_ms * 1_000_000).never_pairs(slop_s=0.01)
    assert said in problem
    assert f"slop_s to at least {abs(offset_ms) * 1.1e-3:.3f}" in problem


def test_matching_stamps_that_do_not_pair_point_at_the_queue(clock):
    assert "queue_size" in watch_with(clock, 0).never_pairs(slop_s=0.01)


def test_pairs_and_patience_keep_the_watch_quiet(clock):
    watch = watch_with(clock, 30_000_000)
    watch.paired()
    assert watch.never_pairs(slop_s=0.01) == ""
    assert watch_with(clock, 30_000_000, seconds=1).never_pairs(slop_s=0.01) == ""


def test_a_silent_topic_is_silent_and_no_matter_of_pairing(clock):
    watch = watch_with(clock, 30_000_000)
    assert watch.silent() == []
    clock.now += 3
    watch.saw("rgb", 0)
    assert watch.silent() == ["depth"]
    assert watch.never_pairs(slop_s=0.01) == ""


# --- frame store


def camera_messages(stamp_ns, size=100):
    header = conversions.header_from(stamp_ns, "cam")
    data = bytes(size // 2)
    return CameraMessages(
        Image(header=header, data=data), Image(header=header, data=data), CameraInfo(header=header)
    )


def masks_at(stamp_ns):
    return InstanceMaskArray(header=conversions.header_from(stamp_ns, "cam"))


def test_masks_find_their_frame_whichever_comes_first():
    store = FrameStore(1000)
    frames = [camera_messages(i) for i in range(5)]
    assert [store.add_frame(f) for f in frames[:4]] == [None] * 4
    assert store.add_masks(masks_at(2)) == (frames[2], masks_at(2))
    assert store.add_masks(masks_at(4)) is None
    assert store.add_frame(frames[4]) == (frames[4], masks_at(4))
    assert store.add_frame(frames[4]) is None  # the masks are used up


def test_a_frame_is_matched_once_and_older_ones_are_let_go():
    store = FrameStore(1000)
    for stamp in range(4):
        store.add_frame(camera_messages(stamp))
    assert store.add_masks(masks_at(2))
    for stamp in (2, 1):
        assert store.add_masks(masks_at(stamp)) is None
    assert store.unmatched == 2  # a newer frame is here, so theirs will not come


def test_memory_bounds_the_store():
    store = FrameStore(250)
    for stamp in range(10):
        store.add_frame(camera_messages(stamp))
    assert store.add_masks(masks_at(7)) is None
    assert store.add_masks(masks_at(8))
    big = camera_messages(20, size=10_000)
    store.add_frame(big)
    assert store.add_masks(masks_at(20)) == (big, masks_at(20))  # one frame always fits


def test_a_bag_that_begins_again_does_not_use_up_the_memory():
    store = FrameStore(1000)
    for _ in range(5):
        for stamp in range(4):
            store.add_frame(camera_messages(stamp))
    assert store.add_masks(masks_at(0)), "there is room for ten frames"


def test_a_frame_that_is_being_segmented_outlasts_the_memory():
    store = FrameStore(250)
    frames = [camera_messages(stamp) for stamp in range(40)]
    store.announce(3)
    for frame in frames[:3]:
        store.add_frame(frame)
    store.announce(1)
    for frame in frames[3:]:
        store.add_frame(frame)
    assert store.find(2) is None
    assert store.add_masks(masks_at(1)) == (frames[1], masks_at(1))
    assert store.add_masks(masks_at(3)) == (frames[3], masks_at(3))
    assert store.add_masks(masks_at(39)) == (frames[39], masks_at(39))


# --- status


@pytest.fixture
def status():
    return NodeStatus("/node", rclpy.logging.get_logger("test"))


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (InvalidFrame("depth is odd"), State.BAD_INPUT),
        (ResourceExhausted("out of memory"), State.FAILED),
        (ZeroDivisionError("a bug"), State.FAILED),
    ],
)
def test_every_error_reaches_the_diagnostics_and_success_clears_it(status, error, state):
    status.failed(error)
    message = diagnostic_status(status, dropped=3)
    values = {v.key: v.value for v in message.values}
    assert (message.level, values["state"]) == (DiagnosticStatus.ERROR, state.value)
    assert values["last_error"] == f"{type(error).__name__}: {error}"
    assert values["frames_dropped"] == "3"
    status.processed({"score": 0.0123}, "nothing there")
    message = diagnostic_status(status, dropped=3)
    values = {v.key: v.value for v in message.values}
    assert (message.level, values["state"]) == (DiagnosticStatus.OK, State.RUNNING.value)
    assert (values["last_error"], values["score_ms"]) == ("", "12.3")
    assert values["empty_result_reason"] == "nothing there"


def test_a_ready_node_without_frames_says_that_it_waits(status):
    status.state = State.RUNNING
    message = diagnostic_status(status, dropped=0)
    assert (message.level, message.message) == (DiagnosticStatus.WARN, "waiting for input")
    status.input_problem = "no message on ~/depth"
    assert (
        diagnostic_status(status, dropped=0).message == "waiting for input: no message on ~/depth"
    )


# --- parameters


@pytest.mark.parametrize("module", [segmentation_node, pose_node, replay_node])
def test_every_parameter_is_described_and_its_default_is_valid(module):
    names = [row.name for row in module.PARAMETERS]
    assert len(names) == len(set(names))
    for row in module.PARAMETERS:
        assert row.description
        assert row.problem(row.default) == ""
        if row.limits:
            assert row.limits[0] <= row.default <= row.limits[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("speed:=3.0", "speed is refused; expected a value in"),
        ("speed:=1", "speed must be a float; write numbers like 0.5"),
        ("colour:=blue", "colour is 'blue'; expected one of red, green"),
    ],
)
def test_bad_values_given_at_start_are_refused_with_the_reason(ros, given, said):
    table = (
        Parameter("speed", 0.5, "m/s", limits=(0.0, 1.0)),
        Parameter("colour", "red", "of the lamp", choices=("red", "green")),
    )
    node = ros.node("lamp", cli_args=["--ros-args", "-p", given])
    with pytest.raises(InvalidConfig, match=said):
        declare(node, table)


def test_children_get_parameters_that_yaml_reads_back():
    given = {"path": Path("/a b"), "loop": True, "rate_hz": 5.0, "id": "1", "list": ["a", "b"]}
    arguments = parameter_arguments(given)
    assert arguments[::2] == ["-p"] * 5
    read = [yaml.safe_load(text.partition(":=")[2]) for text in arguments[1::2]]
    assert read == ["/a b", True, 5.0, "1", ["a", "b"]]


# --- recordings


@pytest.fixture
def folder(tmp_path):
    """Two frames in the layout of a BOP scene."""
    for name in ("rgb", "depth"):
        (tmp_path / name).mkdir()
    for number in (1, 3):
        cv2.imwrite(str(tmp_path / f"rgb/{number:06}.png"), np.full((4, 6, 3), number, np.uint8))
        depth = np.full((4, 6), 500 * number, np.uint16)
        cv2.imwrite(str(tmp_path / f"depth/{number:06}.png"), depth)
    camera = {"cam_K": [5, 0, 2.5, 0, 5, 1.5, 0, 0, 1], "depth_scale": 1.0}
    (tmp_path / "scene_camera.json").write_text(json.dumps({"1": camera, "3": camera}))
    return tmp_path


def test_a_scene_is_read_in_order(folder):
    recording = Recording(folder)
    assert [recording.frame(i).depth.max() for i in range(len(recording))] == [0.5, 1.5]
    assert Recording(folder, image=3).frame(0).rgb.max() == 3


def test_a_useless_folder_is_refused_with_the_expected_layout(folder):
    with pytest.raises(InvalidDataset, match="does not exist"):
        Recording(folder / "nowhere")
    with pytest.raises(InvalidDataset, match="no image number 2"):
        Recording(folder, image=2)
    (folder / "depth/000003.png").unlink()
    with pytest.raises(InvalidDataset, match=r"depth has no image for 000003.png"):
        Recording(folder)
    (folder / "scene_camera.json").unlink()
    with pytest.raises(InvalidDataset, match="no camera file"):
        Recording(folder)
