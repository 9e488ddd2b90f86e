"""The tracker and the instances together, on rendered frames of a moving camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from support.still_life import bracket, carton, errors, model_of, photograph, standing

from sam6d_ros.config import TrackingConfig
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.tracking.tracks import TrackedObjects
from sam6d_ros.stages.geometric.track import ModelTracker
from sam6d_ros.types import PoseEstimate, PoseEstimates, Scene

CARTON, BRACKET = carton(), bracket()
MODELS = {"carton": CARTON, "bracket": BRACKET}
START = [
    (CARTON, standing(CARTON, -0.13, 0, 20)),
    (CARTON, standing(CARTON, 0.13, 0.02, 20)),
    (BRACKET, standing(BRACKET, 0, -0.03, 60)),
]
PERIOD_NS = 33_333_333
WALL_Z = 1.5  # metres: behind everything
BOARD = model_of(trimesh.creation.box((0.12, 0.6, 0.004)), "board")


def bodies_at(index: int):
    """The camera moves by 6 mm and 0.6° per frame."""
    step = se3.exp(index * np.array([0.006, 0.002, 0.001, 0, 0.008, 0.004]))
    return [(model, step @ pose) for model, pose in START]


def frame_at(index: int, board_x: float | None = None):
    bodies = bodies_at(index)
    if board_x is not None:
        board = se3.from_rotation_translation(np.eye(3), [board_x, 0, 0.25])
        bodies = [*bodies, (BOARD, board)]
    frame = photograph(bodies, table=False)
    depth = np.where(frame.depth > 0, frame.depth, WALL_Z).astype(np.float32)
    return replace(frame, depth=depth, stamp_ns=index * PERIOD_NS)


def estimates_of(index: int, order=(0, 1, 2)) -> PoseEstimates:
    items = [bodies_at(index)[i] for i in order]
    poses = tuple(PoseEstimate(model.name, 0.7, pose) for model, pose in items)
    return PoseEstimates(poses, index * PERIOD_NS, "eye")


@pytest.fixture
def tracked():
    tracker = ModelTracker()
    objects = list(MODELS.values())
    return TrackedObjects(
        lambda frame, poses: tracker.track(Scene(frame), poses, objects),
        lambda: MODELS,
        TrackingConfig(),
    )


def where(out: PoseEstimates, index: int) -> dict[str, int]:
    """Name → number of the body it is on, all of them within millimetres."""
    found = {}
    for pose in out.items:
        off = [errors(pose.cam_from_obj, truth)[0] for _, truth in bodies_at(index)]
        found[pose.instance_id] = int(np.argmin(off))
        assert min(off) < 0.004, pose.instance_id
    return found


def test_names_stay_on_their_objects_while_the_camera_moves(tracked):
    tracked.step(frame_at(0))
    tracked.correct(estimates_of(0))
    for index in range(1, 8):
        out = tracked.step(frame_at(index))
    before = where(out, 7)
    assert sorted(before.values()) == [0, 1, 2]
    tracked.correct(estimates_of(3, order=(2, 1, 0)))
    assert where(tracked.step(frame_at(8)), 8) == before
    assert tracked.counts.started == 3


def test_a_board_that_passes_takes_no_name_away(tracked):
    tracked.step(frame_at(0))
    tracked.correct(estimates_of(0))
    before = where(tracked.step(frame_at(1)), 1)
    held = 0
    for index, board_x in enumerate(np.linspace(-0.2, 0.25, 10), start=2):
        tracked.step(frame_at(index, board_x))
        held += tracked.counts.coasting
    assert held > 0, "the test wants something hidden"
    assert where(tracked.step(frame_at(12)), 12) == before
    assert tracked.counts.lost == 0
