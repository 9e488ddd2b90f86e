"""A goal with several frames of a camera that moves: views fused by TF, over DDS."""

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import TransformStamped
from support.ros.asking import ATTEMPTS, BOTH, ON_DEMAND
from support.ros.probe import FRAME_ID
from tf2_ros import TransformBroadcaster

from sam6d_ros.apps.ros import conversions

FIXED, DEPTH_M = "world", 1.5
STEP_PX, COLUMNS = 4, 17  # of the places of the square, which lie farther apart than poses agree
FOCAL_PX = 100  # of the probe's camera


def view(left, top):
    """(rgb, depth) of one red square."""
    rgb, depth = np.full((60, 80, 3), 90, np.uint8), np.full((60, 80), 2.0, np.float32)
    place = slice(top, top + 11), slice(left, left + 11)
    rgb[place], depth[place] = (255, 0, 0), DEPTH_M
    return rgb, depth


class MovingCamera:
    """A new view of a square at each call, with its transform if that is wanted.

    No two views show the square at one place, whichever of them the nodes use.

    Attributes:
        places: left and top of the square by stamp, pixels.
    """

    def __init__(self, asking, with_transform=True):
        self._asking, self._with_transform = asking, with_transform
        self._broadcaster = TransformBroadcaster(asking.probe.node)
        self.places = {}

    def __call__(self):
        row, column = divmod(len(self.places), COLUMNS)
        left, top, stamp_ns = STEP_PX * column, STEP_PX * row, self._asking.probe.now_ns()
        self.places[stamp_ns] = left, top
        messages = self._asking.probe.messages(*view(left, top), stamp_ns)
        if self._with_transform:
            transform = TransformStamped(child_frame_id=FRAME_ID)
            transform.header.stamp, transform.header.frame_id = messages[0].header.stamp, FIXED
            transform.transform.translation.x = -left * DEPTH_M / FOCAL_PX
            transform.transform.translation.y = -top * DEPTH_M / FOCAL_PX
            self._broadcaster.sendTransform(transform)
        self._asking.probe.send(messages)

    def wait_discovered(self):
        """Repeat the trigger with the first views until all nodes have found each other."""
        for _ in range(ATTEMPTS):
            answer = self._asking.trigger(self)
            if "no server for" not in answer.message:
                break
        assert answer.success, answer.message


@pytest.fixture
def estimated(asking):
    """Return status and result of a goal of three frames, and the camera."""

    def run(with_transform=True, **parameters):
        asking.probe.start_double(*BOTH, parameters={**ON_DEMAND, **parameters})
        camera = MovingCamera(asking, with_transform)
        camera.wait_discovered()
        return *asking.estimate(camera, frames=3), camera

    return run


def test_views_of_a_moving_camera_are_fused_in_the_fixed_frame(estimated):
    status, result, camera = estimated(fixed_frame=FIXED, tf_timeout_s=1.0)
    assert (status, result.success) == (GoalStatus.STATUS_SUCCEEDED, True), result.message
    assert result.message == "1 object: red_box_0 0.75"  # of all three, though each is elsewhere
    (box,) = result.detections.detections
    place = box.results[0].pose.pose.position
    left, top = camera.places[conversions.stamp_ns_of(result.detections.header)]  # the last view
    assert place.x == pytest.approx((left + 5 - 39.5) * DEPTH_M / FOCAL_PX, abs=0.01)
    assert place.y == pytest.approx((top + 5 - 29.5) * DEPTH_M / FOCAL_PX, abs=0.01)
    assert place.z == pytest.approx(DEPTH_M, abs=0.01)


def test_a_missing_transform_aborts_the_goal_and_is_named(estimated):
    status, result, _ = estimated(with_transform=False, fixed_frame=FIXED, tf_timeout_s=0.1)
    assert (status, result.success) == (GoalStatus.STATUS_ABORTED, False)
    wanted = f"no transform from the camera's frame {FRAME_ID!r} to fixed_frame {FIXED!r}"
    assert wanted in result.message


def test_views_of_a_camera_that_moves_unknown_to_the_node_do_not_agree(estimated):
    _, result, _ = estimated()
    assert "; 3 seen in fewer than half of the 3 frames left out" in result.message
    assert not result.detections.detections
