"""A goal with several frames of a camera that moves: views fused by TF, over DDS."""

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import TransformStamped
from support.ros.asking import ATTEMPTS, BOTH, ON_DEMAND
from support.ros.probe import FRAME_ID
from tf2_ros import TransformBroadcaster

FIXED, DEPTH_M, STEP_PX = "world", 1.5, 10
STEP_M = STEP_PX * DEPTH_M / 100  # focal length of the probe's camera


def view(number):
    """(rgb, depth) of one red square, from a camera that moves to the right."""
    rgb, depth = np.full((60, 80, 3), 90, np.uint8), np.full((60, 80), 2.0, np.float32)
    left = 55 - STEP_PX * number
    rgb[20:31, left : left + 11], depth[20:31, left : left + 11] = (255, 0, 0), DEPTH_M
    return rgb, depth


class MovingCamera:
    """One view for each frame that is asked for, with its transform if that is wanted."""

    def __init__(self, asking, with_transform=True):
        self._asking, self._with_transform = asking, with_transform
        self._broadcaster = TransformBroadcaster(asking.probe.node)
        self._sent = {}

    def __call__(self):
        numbers = [f.frame for f in self._asking.feedback if f.stage == "segment"]
        if numbers:
            number = max(numbers)
            if number not in self._sent:
                self._sent[number] = self._messages(number)
            self._send(number, self._sent[number])

    def wait_discovered(self):
        """Repeat the trigger with the first view until all nodes have found each other."""
        for _ in range(ATTEMPTS):
            answer = self._asking.trigger(lambda: self._send(1, self._messages(1)))
            if "has no server" not in answer.message:
                break
        assert answer.success, answer.message

    def _messages(self, number):
        return self._asking.probe.messages(*view(number), self._asking.probe.now_ns())

    def _send(self, number, messages):
        if self._with_transform:
            transform = TransformStamped(child_frame_id=FRAME_ID)
            transform.header.stamp, transform.header.frame_id = messages[0].header.stamp, FIXED
            transform.transform.translation.x = STEP_M * number
            self._broadcaster.sendTransform(transform)
        self._asking.probe.send(messages)


@pytest.fixture
def estimated(asking):
    """Return status and result of a goal of three frames."""

    def run(with_transform=True, **parameters):
        asking.probe.start_double(*BOTH, parameters={**ON_DEMAND, **parameters})
        camera = MovingCamera(asking, with_transform)
        camera.wait_discovered()
        return asking.estimate(camera, frames=3)

    return run


def test_views_of_a_moving_camera_are_fused_in_the_fixed_frame(estimated):
    status, result = estimated(fixed_frame=FIXED, tf_timeout_s=1.0)
    assert (status, result.success) == (GoalStatus.STATUS_SUCCEEDED, True), result.message
    assert result.message == "1 object: red_box_0 0.75"  # of all three, though each is elsewhere
    (box,) = result.detections.detections
    place = box.results[0].pose.pose.position
    assert place.x == pytest.approx((30 - 39.5) * DEPTH_M / 100, abs=0.01)  # in the third view
    assert place.z == pytest.approx(DEPTH_M, abs=0.01)


def test_a_missing_transform_aborts_the_goal_and_is_named(estimated):
    status, result = estimated(with_transform=False, fixed_frame=FIXED, tf_timeout_s=0.1)
    assert (status, result.success) == (GoalStatus.STATUS_ABORTED, False)
    wanted = f"no transform from the camera's frame {FRAME_ID!r} to fixed_frame {FIXED!r}"
    assert wanted in result.message


def test_views_of_a_camera_that_moves_unknown_to_the_node_do_not_agree(estimated):
    _, result = estimated()
    assert "; 3 seen in fewer than half of the 3 frames left out" in result.message
    assert not result.detections.detections
