"""Invalid values that tracking makes of valid ones: defects, and no bad input."""

from dataclasses import replace

import numpy as np
import pytest
from support.tracked_world import MODELS, World

from sam6d_ros.config import TrackingConfig
from sam6d_ros.errors import InvariantError, UnknownName
from sam6d_ros.runtime.tracking.tracks import TrackedObjects
from sam6d_ros.types import PoseEstimates

FAR_M = 1e308  # finite; the difference of two such places is not


class Leaping(World):
    """World whose tracker finds everything at places further apart than a float can tell."""

    side = 1.0

    def track(self, frame, poses):
        self.side = -self.side
        found = []
        for guess in poses.items:
            place = guess.cam_from_obj.copy()
            place[:3, 3] = self.side * FAR_M
            found.append(replace(guess, cam_from_obj=place, score=0.9))
        return PoseEstimates(tuple(found), frame.stamp_ns, frame.frame_id)


def follow(track):
    return TrackedObjects(track, lambda: MODELS, TrackingConfig())


def first_error(call, arguments):
    """Return the first error of calls with one argument each, or None."""
    for argument in arguments:
        try:
            call(argument)
        except Exception as error:
            return error
    return None


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_an_invalid_pose_of_a_step_is_a_defect():
    world = Leaping(a="box")
    tracked = follow(world.track)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    error = first_error(tracked.step, (world.frame(index) for index in range(1, 5)))
    assert isinstance(error, InvariantError)
    assert "tracking gave an invalid result" in str(error)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_an_invalid_pose_of_a_correction_is_a_defect():
    world = Leaping(a="box")
    tracked = follow(world.track)
    for index in range(6):
        tracked.step(world.frame(index))
    error = first_error(tracked.correct, [world.estimate(0, "a")] * 3)
    assert isinstance(error, InvariantError)
    assert "tracking gave an invalid result" in str(error)


def test_an_object_that_is_not_loaded_is_still_reported_by_name():
    def track(frame, poses):
        raise UnknownName("objects ['box'] are not loaded")

    world = World(a="box")
    tracked = follow(track)
    tracked.step(world.frame(0))
    with pytest.raises(UnknownName):
        tracked.correct(world.estimate(0, "a"))


def test_the_world_of_these_tests_makes_only_valid_poses():
    world = Leaping(a="box")
    (found,) = world.track(world.frame(0), world.estimate(0, "a")).items
    assert np.isfinite(found.cam_from_obj).all()
