"""Symmetric objects through time: a plain round thing does not spin, a name keeps its rotation."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation
from support.still_life import can, photograph, standing
from support.tracked_world import BOX, World, run

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.config import TrackingConfig
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.tracking.tracks import TrackedObjects
from sam6d_ros.stages.geometric.track import ModelTracker
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates, Scene

ROUND = Symmetries(axes=np.array([[[0, 0, 1.0], [0, 0, 0]]]))
HALF_TURN = Symmetries(np.stack([np.eye(4), se3.exp([0, 0, 0, 0, 0, np.pi])]))


def noisy(frame: Frame, number: int) -> Frame:
    rng = np.random.default_rng(number)
    noise = np.where(frame.depth > 0, rng.normal(0, 0.002, frame.depth.shape), 0)
    rgb = np.clip(frame.rgb + rng.normal(0, 6, frame.rgb.shape), 0, 255).astype(np.uint8)
    return replace(
        frame,
        rgb=rgb,
        depth=(frame.depth + noise).astype(np.float32),
        stamp_ns=1 + number * 33_000_000,
    )


def test_a_plain_round_thing_does_not_spin():
    model = replace(can(colored=False), symmetries=ROUND, shape_symmetries=ROUND)
    truth, tracker = standing(model, 0, 0, 0), ModelTracker()
    tracks = TrackedObjects(
        lambda frame, poses: tracker.track(Scene(frame), poses, [model]),
        lambda: {model.name: model},
        TrackingConfig(),
    )
    still = photograph([(model, truth)])
    tracks.step(noisy(still, 0))
    seen = PoseEstimate(model.name, 0.8, truth)
    tracks.correct(PoseEstimates((seen,), noisy(still, 0).stamp_ns, still.frame_id))
    for number in range(1, 41):
        (pose,) = tracks.step(noisy(still, number)).items
        turned = Rotation.from_matrix(truth[:3, :3].T @ pose.cam_from_obj[:3, :3]).as_rotvec()
        assert abs(np.degrees(turned[2])) < 2, number


def test_an_instance_found_again_keeps_its_rotation():
    world = World(a="box")
    box = replace(BOX, symmetries=HALF_TURN)
    tracks = TrackedObjects(world.track, lambda: {"box": box}, TrackingConfig())
    tracks.step(world.frame(0))
    tracks.correct(world.estimate(0, "a"))
    before = run(tracks, world, 1, 10).items[0]
    world.hidden.add("a")
    run(tracks, world, 11, 60)  # lost
    world.hidden.clear()
    flipped = world.estimate(60, "a")
    (pose,) = flipped.items
    turned = replace(pose, cam_from_obj=pose.cam_from_obj @ HALF_TURN.discrete[1])
    tracks.correct(replace(flipped, items=(turned,)))
    after = run(tracks, world, 61, 70).items[0]
    assert after.instance_id == before.instance_id
    assert tracks.counts.redetected == 1
    apart = se3.rotation_angle(before.cam_from_obj[:3, :3], after.cam_from_obj[:3, :3])
    assert np.degrees(apart) < 5
