"""What following instances is made of: history, common motion, association, kept frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.tracked_world import BOX, PLACES, RATE

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.config import TrackingConfig
from sam6d_ros.errors import InvalidConfig, UnknownName
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.runtime.tracking.association import distance
from sam6d_ros.runtime.tracking.frame_buffer import FrameBuffer, reduced
from sam6d_ros.runtime.tracking.motion import common_motion
from sam6d_ros.runtime.tracking.track import Track
from sam6d_ros.runtime.warmup import warm_up_input, warm_up_poses
from sam6d_ros.types import Frame, PoseEstimate


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
            se3.moved(before, se3.difference(after, before, centre), centre), after, atol=1e-9
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
    half_turn = se3.exp([0, 0, 0, 0, 0, np.pi])
    model = replace(BOX, symmetries=Symmetries(np.stack([np.eye(4), half_turn])))
    pose = se3.exp([0.1, 0, 1, 0.3, 0.2, 0.1])
    assert distance(model, pose @ half_turn, pose) == pytest.approx(0, abs=1e-9)
    assert distance(BOX, pose @ half_turn, pose) > 0.5


@pytest.mark.parametrize(
    "setting",
    [
        {"confirm_score": 1.5},
        {"coast_s": -1},
        {"reidentify_s": -1},
        {"buffer_hz": 0},
        {"max_missed": -1},
    ],
)
def test_settings_out_of_range(setting):
    with pytest.raises(InvalidConfig, match=next(iter(setting))):
        TrackingConfig(**setting)


def test_an_engine_that_tracks_does_that_only():
    model, frame, detections = warm_up_input(None)
    objects = ObjectSet({model.name: model})
    engine = build_engine(EngineSpec(role="tracking", objects=objects))
    assert engine.backend == "geometric"
    poses = warm_up_poses(frame, detections)
    found = engine.track(frame, poses)
    assert [pose.instance_id for pose in found.items] == ["warm_up_box_1"]
    truth = poses.items[0].cam_from_obj
    assert np.linalg.norm(found.items[0].cam_from_obj[:3, 3] - truth[:3, 3]) < 0.01
    with pytest.raises(InvalidConfig, match="tracking"):
        engine.segment(frame)
    ghost = replace(poses, items=(replace(poses.items[0], class_id="ghost"),))
    with pytest.raises(UnknownName, match="ghost"):
        engine.track(frame, ghost)


def test_other_engines_do_not_track(make_engine):
    _, frame, detections = warm_up_input(None)
    with pytest.raises(InvalidConfig, match="pose"):
        make_engine("pose").track(frame, warm_up_poses(frame, detections))
