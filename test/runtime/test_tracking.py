"""Instances through time: names stay, loss is told, late estimates are brought up to date."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sam6d_ros.config import PipelineConfig, TrackingConfig
from sam6d_ros.errors import InvalidConfig, InvalidObjects
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.runtime.engine import Engine, State
from sam6d_ros.runtime.frame_buffer import FrameBuffer, reduced
from sam6d_ros.runtime.track_association import distance, nearest_equivalent
from sam6d_ros.runtime.track_motion import common_motion
from sam6d_ros.runtime.track_state import Track, motion, moved
from sam6d_ros.runtime.tracking import TrackedObjects
from sam6d_ros.runtime.warmup import box_model, warm_up_input, warm_up_poses
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates

CAMERA = CameraIntrinsics(100.0, 100.0, 31.5, 23.5, 64, 48)
RATE = 30
BOX = replace(box_model((0.06, 0.08, 0.1)), name="box")
CAN = replace(box_model((0.05, 0.05, 0.12)), name="can")
MODELS = {"box": BOX, "can": CAN}
REACH = 0.05  # metres from which the world's tracker finds an instance
PLACES = {"a": [0.0, 0, 1], "b": [0.2, 0, 1], "c": [-0.2, 0.1, 0.9]}


class World:
    """Objects at known poses, a camera that moves, and a tracker that finds what is near.

    Attributes:
        bodies: name → (class, pose in the world).
        hidden: names that no frame shows.
        speed: (6,) twist of the camera per second.
        trap: (3,) offset at which a guess gets stuck that is not near the truth.
    """

    def __init__(self, **classes: str) -> None:
        self.bodies = {n: (c, se3.exp([*PLACES[n], 0, 0, 0])) for n, c in classes.items()}
        self.hidden: set[str] = set()
        self.speed = np.zeros(6)
        self.seen_frames: list[int] = []
        self.trap: np.ndarray | None = None

    def frame(self, index: int) -> Frame:
        shape = (CAMERA.height, CAMERA.width)
        rgb, depth = np.zeros((*shape, 3), np.uint8), np.ones(shape, np.float32)
        return Frame(rgb, depth, CAMERA, round(index * 1e9 / RATE), "eye")

    def pose(self, name: str, stamp_ns: int) -> np.ndarray:
        return se3.inverse(se3.exp(self.speed * stamp_ns * 1e-9)) @ self.bodies[name][1]

    def track(self, frame: Frame, poses: PoseEstimates) -> PoseEstimates:
        """Draws a prediction halfway to the instance it is near; scores what is left."""
        self.seen_frames.append(frame.stamp_ns)
        found = []
        for guess in poses.items:
            for name, (kind, _) in self.bodies.items():
                truth = self.pose(name, frame.stamp_ns)
                off = np.linalg.norm(guess.cam_from_obj[:3, 3] - truth[:3, 3])
                if kind == guess.class_id and name not in self.hidden and off < REACH:
                    if self.trap is not None and off > 0.01:
                        truth = truth.copy()
                        truth[:3, 3] -= self.trap
                    near = moved(
                        truth, np.zeros(3), 0.2 * motion(truth, guess.cam_from_obj, np.zeros(3))
                    )
                    covariance = 1e-6 * np.eye(6)
                    found.append(
                        replace(
                            guess, cam_from_obj=near, score=0.9 - 4 * off, covariance=covariance
                        )
                    )
                    break
        return PoseEstimates(tuple(found), frame.stamp_ns, frame.frame_id)

    def estimate(self, index: int, *names: str, off=(0, 0, 0)) -> PoseEstimates:
        """What a full estimate of that frame gives, in the order of the names."""
        stamp = round(index * 1e9 / RATE)
        items = []
        for number, name in enumerate(names, start=1):
            pose = self.pose(name, stamp).copy()
            pose[:3, 3] += off
            kind = self.bodies[name][0]
            items.append(PoseEstimate(kind, 0.7, pose, np.eye(6) * 1e-6, None, f"{kind}_{number}"))
        return PoseEstimates(tuple(items), stamp, "eye")


def follow(world: World, **settings) -> TrackedObjects:
    return TrackedObjects(world.track, lambda: MODELS, TrackingConfig(**settings))


def run(tracked: TrackedObjects, world: World, first: int, last: int) -> PoseEstimates:
    """Steps through the frames first … last; the result of the last."""
    out = [tracked.step(world.frame(index)) for index in range(first, last + 1)]
    return out[-1]


def names_by_place(world: World, out: PoseEstimates) -> dict[str, str]:
    """Which physical object each name means."""
    where = {}
    for pose in out.items:
        off = {
            name: np.linalg.norm(world.pose(name, out.stamp_ns)[:3, 3] - pose.cam_from_obj[:3, 3])
            for name in world.bodies
        }
        where[min(off, key=off.get)] = pose.instance_id
    return where


def test_an_estimate_of_the_present_frame_starts_a_track():
    world = World(a="box", b="can")
    tracked = follow(world)
    assert not len(tracked.step(world.frame(0)))
    tracked.correct(world.estimate(0, "a", "b"))
    out = run(tracked, world, 1, 1)
    assert names_by_place(world, out) == {"a": "box_1", "b": "can_1"}
    assert (out.stamp_ns, out.frame_id) == (world.frame(1).stamp_ns, "eye")
    assert all(pose.score_parts["seen"] == 1 for pose in out.items)
    assert tracked.counts.tracked == tracked.counts.started == 2


def test_before_the_first_frame_nothing_is_followed():
    world = World(a="box")
    tracked = follow(world)
    tracked.correct(world.estimate(0, "a"))
    out = tracked.step(world.frame(0))
    assert not len(out)
    assert "no instance" in out.reason


def test_a_late_estimate_is_followed_to_the_present():
    world = World(a="box", b="can")
    world.speed[:] = [0.1, 0.05, 0, 0, 0.1, 0]
    tracked = follow(world)
    run(tracked, world, 0, 90)
    tracked.correct(world.estimate(0, "a", "b"))
    out = run(tracked, world, 91, 120)  # the present does not wait for it
    assert set(names_by_place(world, out)) == {"a", "b"}
    for pose in out.items:
        name = {"box": "a", "can": "b"}[pose.class_id]
        off = motion(world.pose(name, out.stamp_ns), pose.cam_from_obj, np.zeros(3))
        assert np.linalg.norm(off[:3]) < 0.005


def test_equal_objects_keep_their_names_whatever_the_order_of_the_estimates():
    world = World(a="box", b="box", c="box")
    world.speed[:] = [0.15, 0, 0, 0, 0, 0.2]
    tracked = follow(world)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a", "b", "c"))
    first = names_by_place(world, run(tracked, world, 1, 30))
    assert len(first) == 3
    for index, order in ((30, "cab"), (60, "bca"), (90, "cba")):
        tracked.correct(world.estimate(index - 25, *order))
        out = run(tracked, world, index + 1, index + 30)
        assert names_by_place(world, out) == first
    assert tracked.counts.started == 3


def test_a_hidden_instance_is_held_and_fades_and_is_followed_again():
    world = World(a="box")
    tracked = follow(world, hold_s=1.0)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    seen = run(tracked, world, 1, 10).items[0]
    world.hidden.add("a")
    held = [run(tracked, world, i, i).items[0] for i in range(11, 31)]
    scores = [pose.score for pose in held]
    spread = [np.trace(pose.covariance) for pose in held]
    assert {pose.instance_id for pose in held} == {"box_1"}
    assert all(pose.score_parts["seen"] == 0 for pose in held)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] < seen.score
    assert spread == sorted(spread)
    assert (tracked.counts.tracked, tracked.counts.held) == (0, 1)
    world.hidden.clear()
    again = run(tracked, world, 31, 31).items[0]
    assert again.instance_id == "box_1"
    assert again.score_parts["seen"] == 1
    assert again.score > scores[0]


def test_what_stays_hidden_is_lost_and_gets_its_name_back_when_found_near():
    world = World(a="box", b="box")
    tracked = follow(world, hold_s=0.5, remember_s=5.0)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a", "b"))
    names = names_by_place(world, run(tracked, world, 1, 5))
    world.hidden.add("a")
    out = run(tracked, world, 6, 40)
    assert names_by_place(world, out) == {"b": names["b"]}
    assert tracked.counts.lost == 1
    world.hidden.clear()
    world.bodies["a"][1][:3, 3] += [0.03, 0.02, 0]
    tracked.correct(world.estimate(40, "b", "a"))
    assert names_by_place(world, run(tracked, world, 41, 41)) == names
    assert tracked.counts.redetected == 1


@pytest.mark.parametrize("why", ["too late", "too far"])
def test_a_name_is_not_given_again(why):
    world = World(a="box")
    tracked = follow(world, hold_s=0.2, remember_s=1.0)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    run(tracked, world, 1, 2)
    world.hidden.add("a")
    last = 60 if why == "too late" else 15
    run(tracked, world, 3, last)
    world.hidden.clear()
    if why == "too far":
        world.bodies["a"][1][:3, 3] += [0.5, 0, 0]
    tracked.correct(world.estimate(last, "a"))
    out = run(tracked, world, last + 1, last + 1)
    assert [pose.instance_id for pose in out.items] == ["box_2"]


def test_unseen_instances_move_with_the_others():
    world = World(a="box", b="can", c="can")
    tracked = follow(world)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a", "b", "c"))
    run(tracked, world, 1, 3)
    world.hidden.add("a")
    world.speed[:] = [0.1, 0, 0.05, 0, 0.05, 0]
    out = run(tracked, world, 4, 30)
    held = next(pose for pose in out.items if pose.class_id == "box")
    assert held.score_parts["seen"] == 0
    off = motion(world.pose("a", out.stamp_ns), held.cam_from_obj, np.zeros(3))
    assert np.linalg.norm(off[:3]) < 0.01


def test_a_drifted_track_is_replaced_by_a_late_estimate_that_fits_better():
    world = World(a="box")
    world.speed[:] = [0.05, 0, 0, 0, 0.02, 0]
    tracked = follow(world)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    run(tracked, world, 1, 5)
    world.trap = np.array([0.03, 0, 0])
    world.bodies["a"][1][:3, 3] += [0.03, 0, 0]  # it slips out of the track's hands

    def off(out: PoseEstimates) -> float:
        truth = world.pose("a", out.stamp_ns)
        return float(np.linalg.norm((out.items[0].cam_from_obj - truth)[:3, 3]))

    assert off(run(tracked, world, 6, 25)) > 0.02
    tracked.correct(world.estimate(15, "a"))
    out = run(tracked, world, 26, 26)
    assert off(out) < 0.003
    assert out.items[0].instance_id == "box_1"
    assert tracked.counts.corrected == 1


def test_a_late_estimate_that_fits_worse_changes_nothing():
    world = World(a="box")
    tracked = follow(world)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    run(tracked, world, 1, 20)
    tracked.correct(world.estimate(10, "a", off=(0.03, 0, 0)))
    out = run(tracked, world, 21, 21)
    off = out.items[0].cam_from_obj[:3, 3] - world.pose("a", out.stamp_ns)[:3, 3]
    assert np.linalg.norm(off) < 0.001
    assert tracked.counts.corrected == 0
    assert len(out) == 1, "the estimate is no second instance"


def test_full_estimates_that_miss_an_instance_again_and_again_lose_it():
    world = World(a="box", b="can")
    tracked = follow(world, max_missed=2)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a", "b"))
    run(tracked, world, 1, 5)
    tracked.correct(world.estimate(5, "b"))
    assert len(run(tracked, world, 6, 6)) == 2
    tracked.correct(world.estimate(6, "a", "b"))  # found again: the count starts anew
    tracked.correct(world.estimate(6, "b"))
    assert len(run(tracked, world, 7, 7)) == 2
    tracked.correct(world.estimate(7, "b"))
    assert [pose.class_id for pose in run(tracked, world, 8, 8).items] == ["can"]


def test_an_empty_full_estimate_loses_nothing():
    world = World(a="box")
    tracked = follow(world, max_missed=1)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    run(tracked, world, 1, 2)
    for _ in range(3):
        tracked.correct(PoseEstimates.empty(world.frame(2), "the depth image has no valid pixel"))
    assert len(run(tracked, world, 3, 3)) == 1


def test_time_that_goes_back_drops_everything_but_no_name_is_used_twice():
    world = World(a="box")
    tracked = follow(world)
    tracked.step(world.frame(50))
    tracked.correct(world.estimate(50, "a"))
    assert len(run(tracked, world, 51, 55)) == 1
    assert not len(tracked.step(world.frame(0)))
    tracked.correct(world.estimate(0, "a"))
    assert [pose.instance_id for pose in run(tracked, world, 1, 1).items] == ["box_2"]


def test_the_same_frame_twice_gives_the_same_instances():
    world = World(a="box")
    world.speed[:] = [0.1, 0, 0, 0, 0, 0]
    tracked = follow(world)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    first = run(tracked, world, 1, 10).items[0]
    second = tracked.step(world.frame(10)).items[0]
    np.testing.assert_allclose(first.cam_from_obj, second.cam_from_obj, atol=1e-3)


def test_instances_of_an_object_that_was_removed_go():
    world = World(a="box", b="can")
    models = dict(MODELS)
    tracked = TrackedObjects(world.track, lambda: models, TrackingConfig())
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a", "b"))
    assert len(run(tracked, world, 1, 1)) == 2
    del models["box"]
    assert [pose.class_id for pose in run(tracked, world, 2, 2).items] == ["can"]
    tracked.correct(world.estimate(2, "a", "b"))  # of before the removal
    assert [pose.class_id for pose in run(tracked, world, 3, 3).items] == ["can"]


def test_catching_up_skips_frames_in_which_little_moves():
    world = World(a="box")
    tracked = follow(world, buffer_hz=10.0)
    run(tracked, world, 0, 240)
    world.seen_frames.clear()
    tracked.correct(world.estimate(0, "a"))
    assert 2 < len(world.seen_frames) < 30, "80 frames are kept"
    assert len(run(tracked, world, 241, 241)) == 1


def test_the_buffer_is_bounded_in_time_rate_and_size():
    buffer = FrameBuffer(seconds=2.0, hz=5.0)
    camera = CameraIntrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)
    large = Frame(np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32), camera)
    for index in range(120):
        buffer.add(replace(large, stamp_ns=round(index * 1e9 / RATE)))
    assert 10 <= len(buffer) <= 11
    kept = buffer.around(0)
    assert all(frame.camera.width == 320 for frame in kept)
    assert [f.stamp_ns for f in kept] == sorted(f.stamp_ns for f in kept)
    assert reduced(large).camera == camera.scaled(0.5)


def test_a_motion_takes_one_pose_to_the_other():
    rng = np.random.default_rng(0)
    for _ in range(20):
        before, after = se3.exp(rng.normal(size=6) * 0.5), se3.exp(rng.normal(size=6) * 0.5)
        centre = rng.normal(size=3)
        np.testing.assert_allclose(
            moved(before, centre, motion(before, after, centre)), after, atol=1e-9
        )


def test_the_past_is_interpolated():
    poses = [se3.exp([0, 0, 1, 0, 0, 0]), se3.exp([0.1, 0, 1, 0, 0, 0.4])]
    track = Track("box_1", "box_1~1", BOX, PoseEstimate("box", 1.0, poses[0]), 1_000)
    track.confirm(PoseEstimate("box", 1.0, poses[1]), 2_000)
    half = track.at(1_500)
    np.testing.assert_allclose(half[:3, 3], [0.05, 0, 1], atol=1e-6)
    assert se3.rotation_angle(half[:3, :3], np.eye(3)) == pytest.approx(0.2, abs=1e-6)
    np.testing.assert_allclose(track.at(0), poses[0])
    np.testing.assert_allclose(track.at(9_000), poses[1])


def test_two_that_agree_tell_the_common_motion_and_one_alone_does_not():
    step = se3.exp([0.02, -0.01, 0.03, 0.02, 0.03, -0.01])
    tracks = []
    for index, place in enumerate(PLACES.values()):
        start = se3.exp([*place, 0, 0, 0])
        track = Track(f"box_{index}", "", BOX, PoseEstimate("box", 1.0, start), 0)
        carried = se3.exp([0, 0, -0.3, 0, 0, 0]) if index == 2 else np.eye(4)
        track.confirm(PoseEstimate("box", 1.0, carried @ step @ start), 10)
        tracks.append(track)
    found = common_motion(tracks, 0, 10, np.array([0.1, 0, 1]))
    np.testing.assert_allclose(found, step, atol=1e-9)
    assert common_motion(tracks[:1], 0, 10, np.zeros(3)) is None
    assert common_motion(tracks[1:], 0, 10, np.zeros(3)) is None


def test_equal_looks_are_no_distance():
    from sam6d_ros.cad.model import Symmetries

    half_turn = se3.exp([0, 0, 0, 0, 0, np.pi])
    model = replace(BOX, symmetries=Symmetries(np.stack([np.eye(4), half_turn])))
    pose = se3.exp([0.1, 0, 1, 0.3, 0.2, 0.1])
    assert distance(model, pose @ half_turn, pose) == pytest.approx(0, abs=1e-9)
    assert distance(BOX, pose @ half_turn, pose) > 0.5
    np.testing.assert_allclose(nearest_equivalent(model, pose @ half_turn, pose), pose, atol=1e-9)


@pytest.mark.parametrize(
    "setting",
    [{"min_score": 1.5}, {"hold_s": -1}, {"remember_s": -1}, {"buffer_hz": 0}, {"max_missed": -1}],
)
def test_settings_out_of_range(setting):
    with pytest.raises(InvalidConfig, match=next(iter(setting))):
        TrackingConfig(**setting)


def test_an_engine_that_tracks_does_that_only():
    model, frame, detections = warm_up_input(None)
    engine = Engine(PipelineConfig(), role="tracking")
    engine.add_object(model)
    engine.warm_up()
    assert engine.state is State.READY
    poses = warm_up_poses(frame, detections)
    found = engine.track(frame, poses)
    assert [pose.instance_id for pose in found.items] == ["warm_up_box_1"]
    truth = poses.items[0].cam_from_obj
    assert np.linalg.norm(found.items[0].cam_from_obj[:3, 3] - truth[:3, 3]) < 0.01
    with pytest.raises(InvalidConfig, match="tracking"):
        engine.segment(frame)
    ghost = replace(poses, items=(replace(poses.items[0], class_id="ghost"),))
    with pytest.raises(InvalidObjects, match="ghost"):
        engine.track(frame, ghost)


def test_other_engines_do_not_track(make_engine):
    _, frame, detections = warm_up_input(None)
    with pytest.raises(InvalidConfig, match="pose"):
        make_engine("pose").track(frame, warm_up_poses(frame, detections))
