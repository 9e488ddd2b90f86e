"""What a user of the nodes does on demand, in a test."""

import itertools

from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger
from support.ros.held_double import Hold
from support.ros.probe import scene

from sam6d_ros.action import EstimatePoses
from sam6d_ros.apps.ros.node.qos import SERVICES
from sam6d_ros.srv import SegmentFrame

POSES, MASKS = "/pose_node/detections", "/segmentation_node/masks"
BOTH = ("segmentation_node", "pose_node")
ON_DEMAND = {"mode": "on_demand"}
ATTEMPTS = 10
TWO_BOXES = [(255, 0, 0), (0, 255, 0)]


class Asking:
    """What a user of the nodes does."""

    def __init__(self, probe, folder):
        self.probe, self._folder = probe, folder
        self.feedback = []
        self._trigger = probe.node.create_client(Trigger, "/pose_node/trigger")
        self._segment = probe.node.create_client(
            SegmentFrame, "/segmentation_node/segment", qos_profile=SERVICES
        )
        self._goals = ActionClient(probe.node, EstimatePoses, "/pose_node/estimate_poses")
        self._stamps = itertools.count(probe.now_ns(), 10**9)

    def hold(self, stage):
        return Hold(self._folder, stage)

    def camera(self, colours=TWO_BOXES, depth_m=1.0):
        """Sends a new frame whenever it is called."""
        return lambda: self.send(colours, depth_m)

    def send(self, colours=TWO_BOXES, depth_m=1.0):
        stamp_ns = next(self._stamps)
        self.probe.send(self.probe.messages(*scene(colours, depth_m), stamp_ns))
        return stamp_ns

    def done(self, future, what, every=None):
        self.probe.wait_for(future.done, what, every=every)
        return future.result()

    def call(self, client, request, every=None):
        self.probe.wait_for(client.service_is_ready, f"service {client.service_name}")
        return self.done(client.call_async(request), f"{client.service_name}", every)

    def trigger(self, every=None):
        return self.call(self._trigger, Trigger.Request(), every)

    def segment(self, every=None, **wanted):
        return self.call(self._segment, SegmentFrame.Request(**wanted), every)

    def segment_later(self):
        """The future of a call that is not waited for."""
        self.probe.wait_for(self._segment.service_is_ready, "the service")
        return self._segment.call_async(SegmentFrame.Request())

    def goal(self, **wanted):
        """The handle of an accepted goal; its feedback goes to ``feedback``."""
        self.feedback.clear()
        self.probe.wait_for(self._goals.server_is_ready, "the action server")
        sent = self._goals.send_goal_async(
            EstimatePoses.Goal(**wanted),
            lambda message: self.feedback.append(message.feedback),
        )
        handle = self.done(sent, "the goal's acceptance")
        assert handle.accepted
        return handle

    def outcome(self, handle, every=None):
        """(status, result)"""
        answer = self.done(handle.get_result_async(), "the result", every)
        return answer.status, answer.result

    def wait_discovered(self):
        """Repeat the trigger until the pose node has discovered the segmentation node."""
        for _ in range(ATTEMPTS):
            answer = self.trigger(self.camera())
            if "no server for" not in answer.message:
                break
        assert answer.success, answer.message

    def estimate(self, every=None, **wanted):
        return self.outcome(self.goal(**wanted), every)

    def set(self, node, **values):
        client = self.probe.node.create_client(SetParameters, f"/{node}/set_parameters")
        parameters = [Parameter(k, value=v).to_parameter_msg() for k, v in values.items()]
        answer = self.call(client, SetParameters.Request(parameters=parameters))
        assert all(r.successful for r in answer.results), answer.results

    def stages(self):
        return [(f.stage, f.frame) for f in self.feedback]

    def received_by(self, node):
        return int(self.probe.diagnostics(f"/{node}").get("frames_received", 0))


def names(detections):
    """The classes in a Detection3DArray."""
    return [d.results[0].hypothesis.class_id for d in detections.detections]
