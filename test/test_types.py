"""The typed values check themselves where data enters, and empty is a value."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sam6d_ros.errors import InvalidFrame, InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.types import (
    Candidates,
    Detection,
    Detections,
    Frame,
    InstanceCandidates,
    PoseEstimate,
    PoseEstimates,
    Proposals,
    Scene,
)

CAMERA = CameraIntrinsics(20.0, 20.0, 3.5, 2.5, 8, 6)


def frame(**changes) -> Frame:
    parts = {
        "rgb": np.zeros((6, 8, 3), np.uint8),
        "depth": np.ones((6, 8), np.float32),
        "camera": CAMERA,
        "stamp_ns": 7,
        "frame_id": "cam",
    }
    return Frame(**{**parts, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rgb": np.zeros((6, 8), np.uint8)}, r"\(H, W, 3\) uint8"),
        ({"rgb": np.zeros((6, 8, 4), np.uint8)}, r"\(H, W, 3\) uint8"),
        ({"rgb": np.zeros((6, 8, 3), np.float32)}, r"\(H, W, 3\) uint8"),
        ({"depth": np.ones((3, 4), np.float32)}, "aligned_depth_to_color"),
        ({"depth": np.ones((6, 8), np.uint16)}, "float32 metres"),
        ({"depth": np.full((6, 8), np.nan, np.float32)}, "NaN"),
        ({"depth": np.full((6, 8), -1, np.float32)}, "negative"),
        ({"depth": np.full((6, 8), 850, np.float32)}, "millimetres"),
        ({"camera": CameraIntrinsics(20.0, 20.0, 4, 4, 9, 9)}, "intrinsics are for"),
    ],
)
def test_an_unusable_frame_is_refused_with_the_reason(changes, reason):
    with pytest.raises(InvalidFrame, match=reason):
        frame(**changes)


def test_a_frame_without_any_depth_is_a_frame():
    assert frame().has_depth
    assert not frame(depth=np.zeros((6, 8), np.float32)).has_depth


def test_empty_results_carry_the_reason_and_the_header():
    assert len(Proposals.empty(frame(), "dark")) == 0
    assert Proposals.empty(frame(), "dark").masks.shape == (0, 6, 8)
    assert Detections.empty("dark").reason == "dark"
    poses = PoseEstimates.empty(frame(), "dark")
    assert (len(poses), poses.stamp_ns, poses.frame_id, poses.reason) == (0, 7, "cam", "dark")
    assert poses.with_timings({"propose": 0.5}).timings_s == {"propose": 0.5}


def test_the_box_of_a_mask_is_tight():
    mask = np.zeros((6, 8), bool)
    mask[2:4, 3:7] = True
    assert Detection("mug", 0.5, mask).bbox_xywh == (3, 2, 4, 2)
    assert Detection("mug", 0.5, np.zeros((6, 8), bool)).bbox_xywh == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class_id": ""}, "empty class_id"),
        ({"score": np.nan}, "score nan"),
        ({"score": 7.0}, r"score 7.0; expected \[0, 1\]"),
        ({"score": -0.1}, "score -0.1"),
        ({"mask": np.ones((6, 8), np.uint8)}, r"uint8; expected \(H, W\) bool"),
        ({"mask": np.ones((1, 6, 8), bool)}, r"\(1, 6, 8\)"),
        ({"pose_hints": np.eye(4)}, r"expected \(K, 4, 4\)"),
    ],
)
def test_a_detection_with_a_value_out_of_its_range_is_refused(changes, reason) -> None:
    given = {"class_id": "mug", "score": 0.5, "mask": np.ones((6, 8), bool)}
    with pytest.raises(InvalidInput, match=reason):
        Detection(**{**given, **changes})


@pytest.mark.parametrize(
    ("shape", "kind", "scores", "reason"),
    [
        ((2, 6, 8), bool, [1.0], "for 2 masks"),
        ((6, 8), bool, [1.0], r"expected \(N, H, W\) bool"),
        ((1, 6, 8), np.uint8, [1.0], "uint8"),
        ((1, 6, 8), bool, [1.5], "1.5"),
        ((1, 6, 8), bool, [np.nan], "nan"),
    ],
)
def test_proposals_that_contradict_themselves_are_refused(shape, kind, scores, reason) -> None:
    with pytest.raises(InvalidInput, match=reason):
        Proposals(np.ones(shape, kind), np.array(scores, np.float32))


def test_the_allowed_objects_of_proposals_are_one_entry_for_each() -> None:
    masks, scores = np.ones((2, 6, 8), bool), np.ones(2, np.float32)
    anything = Proposals(masks, scores)
    assert all(anything.allows(i, "mug") for i in range(2))
    chosen = Proposals(masks, scores, class_ids=(frozenset({"mug"}), None))
    assert [chosen.allows(i, "can") for i in range(2)] == [False, True]
    with pytest.raises(InvalidInput, match="class_ids has 1 entries for 2 masks"):
        Proposals(masks, scores, class_ids=(None,))


def test_masks_of_another_size_are_refused_by_name() -> None:
    found = Detections((Detection("mug", 0.5, np.ones((12, 16), bool), "left"),))
    with pytest.raises(InvalidInput, match=r"'left' is \(12, 16\), the frame \(6, 8\)"):
        found.check_size(frame())
    Detections((Detection("mug", 0.5, np.ones((6, 8), bool)),)).check_size(frame())


@pytest.mark.parametrize("mask", [np.ones((6, 8), np.uint8), np.ones((1, 6, 8), bool)])
def test_what_is_no_mask_is_refused_wherever_it_enters(mask):
    makers = (
        lambda: Detection("mug", 0.5, mask),
        lambda: InstanceCandidates("mug", "mug", np.eye(4)[None], np.ones(1), mask),
        lambda: PoseEstimate("mug", 0.5, np.eye(4), mask=mask),
    )
    for make in makers:
        with pytest.raises(InvalidInput, match=r"mask of 'mug' is .*; expected \(H, W\) bool"):
            make()


@pytest.mark.parametrize("score", [-0.1, 1.1, np.nan])
def test_a_score_outside_its_range_is_refused(score):
    with pytest.raises(InvalidInput, match="score"):
        PoseEstimate("mug", score, np.eye(4))


def test_a_pose_that_is_not_rigid_is_refused():
    with pytest.raises(InvalidInput, match="cam_from_obj"):
        PoseEstimate("mug", 0.5, 2 * np.eye(4))


def test_a_scene_computes_each_value_once_for_all_threads():
    calls, ready = [], threading.Barrier(4)

    def reach(frame):
        calls.append(frame)
        return frame.depth.max()

    scene = Scene(frame())

    def look(_):
        ready.wait()
        return scene.derived(reach)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(look, range(4))) == {scene.frame.depth.max()}
    assert calls == [scene.frame]
    assert Scene.of(scene) is scene
    assert Scene.of(scene.frame) is not scene


def candidates(poses, scores) -> InstanceCandidates:
    mask = np.ones((4, 5), bool)
    return InstanceCandidates("mug", "mug_0", np.asarray(poses), np.asarray(scores), mask)


def test_candidates_give_their_first_hypothesis_as_an_estimate() -> None:
    both = candidates([se3.exp([0, 0, 1, 0, 0, 0]), np.eye(4)], [0.7, 0.4])
    found = Candidates((both,)).best(frame())
    (pose,) = found.items
    assert (pose.class_id, pose.instance_id, pose.score) == ("mug", "mug_0", 0.7)
    assert pose.cam_from_obj[2, 3] == 1
    assert pose.mask is both.mask
    assert Candidates.empty("nothing there").best(frame()).reason == "nothing there"


@pytest.mark.parametrize(
    ("poses", "scores", "reason"),
    [
        (np.zeros((0, 4, 4)), [], "1 or more"),
        ([np.eye(4)], [0.5, 0.6], "expected"),
        ([np.eye(4)], [np.nan], "nan"),
        ([np.eye(4)], [1.5], "1.5"),
        ([2 * np.eye(4)], [0.5], "rotation"),
    ],
)
def test_candidates_that_contradict_themselves_are_refused(poses, scores, reason) -> None:
    with pytest.raises(InvalidInput, match=reason):
        candidates(poses, scores)


@pytest.mark.parametrize("name", ["visible", "presence"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_shares_of_an_estimate_are_in_range(name, value) -> None:
    with pytest.raises(InvalidInput, match=name):
        PoseEstimate("mug", 0.5, np.eye(4), **{name: value})
    found = PoseEstimate("mug", 0.5, np.eye(4))
    assert (found.visible, found.presence, found.confirmed, found.alternatives) == (1, 1, True, ())


def mug(instance_id: str = "", class_id: str = "mug") -> Detection:
    return Detection(class_id, 0.5, np.ones((2, 2), bool), instance_id)


def ids(result) -> list[str]:
    return [item.instance_id for item in result.items]


def test_instances_without_an_id_are_numbered_per_class_and_others_keep_theirs() -> None:
    given = (mug(class_id="cup"), mug(), mug(class_id="cup"), mug(), mug("mug_0"), mug("left"))
    found = Detections(given)
    assert ids(found) == ["cup_0", "mug_1", "cup_1", "mug_2", "mug_0", "left"]
    assert Detections(found.items) == found
    poses = tuple(PoseEstimate("mug", 0.5, np.eye(4), instance_id=name) for name in ("", "a", ""))
    assert ids(PoseEstimates(poses, 0, "eye")) == ["mug_0", "a", "mug_1"]


def test_one_id_for_two_instances_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'left'"):
        Detections((mug("left"), mug(), mug("left")))
    pose = PoseEstimate("mug", 0.5, np.eye(4), instance_id="left")
    with pytest.raises(InvalidInput, match="'left'"):
        PoseEstimates((pose, pose), 0, "eye")


def test_no_code_branches_on_a_key_of_the_agreement() -> None:
    package = Path(__file__).resolve().parents[1] / "sam6d_ros"
    key = re.compile(r"\bagreement(\[[\"']|\.get\(|\.pop\()")
    found = [path.name for path in package.rglob("*.py") if key.search(path.read_text())]
    assert not found
