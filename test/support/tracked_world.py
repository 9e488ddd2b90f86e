"""A world whose tracker returns the true pose, for tests of the parts around a tracker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sam6d_ros.config import TrackingConfig
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.runtime.tracking.tracks import TrackedObjects
from sam6d_ros.runtime.warmup import box_model
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
                    near = se3.moved(truth, 0.2 * se3.difference(guess.cam_from_obj, truth))
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
