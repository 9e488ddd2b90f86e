"""The camera side of a node: three synchronised topics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

from message_filters import ApproximateTimeSynchronizer, Subscriber, TimeSynchronizer
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sam6d_ros.apps.ros import camera_topics
from sam6d_ros.apps.ros.camera_topics import INPUTS, CameraTopic
from sam6d_ros.apps.ros.camera_watch import CameraWatch
from sam6d_ros.apps.ros.conversions import distortion_warning, stamp_ns_of
from sam6d_ros.apps.ros.parameters import Parameter
from sam6d_ros.errors import InvalidFrame
from sam6d_ros.runtime.frame_age import age_problem, too_old
from sam6d_ros.runtime.status import HostStatus

NO_CLOCK = (
    "use_sim_time is true but nobody publishes /clock: max_age_s cannot be applied. Have it "
    "published (ros2 bag play --clock), or set use_sim_time to false"
)

PARAMETERS = (
    Parameter(
        "sync",
        "approximate",
        "how rgb, depth and camera_info are paired by their stamps",
        choices=("approximate", "exact"),
    ),
    Parameter("slop_s", 0.02, "largest difference of paired stamps, seconds", limits=(0.001, 10.0)),
    Parameter("queue_size", 30, "messages kept per topic while waiting to pair", limits=(1, 1000)),
    Parameter(
        "pair_timeout_s",
        3.0,
        "seconds without a pair until the node warns",
        limits=(0.1, 3600.0),
    ),
    Parameter(
        "max_age_s",
        0.0,
        "frames older than this by the node's clock are skipped, seconds; 0 takes every frame",
        read_only=False,
        limits=(0.0, 3600.0),
    ),
    Parameter(
        "require_same_frame",
        True,
        "refuse depth with another frame_id than rgb: it is not registered to colour",
        read_only=False,
    ),
    *camera_topics.PARAMETERS,
)


class CameraMessages(NamedTuple):
    """One synchronised set of camera messages."""

    rgb: Image | CompressedImage
    depth: Image | CompressedImage
    camera_info: CameraInfo

    @property
    def size_bytes(self) -> int:
        """Size of both images."""
        return len(self.rgb.data) + len(self.depth.data)


class CameraInput:
    """Subscribes ``~/rgb``, ``~/depth``, ``~/camera_info``; calls back with each matching set.

    Args:
        unfed: what is wrong with another input of the node, that needs a publisher; or nothing.
    """

    def __init__(
        self,
        node: Node,
        status: HostStatus,
        callback: Callable[[CameraMessages], None],
        unfed: Callable[[], str] = str,
    ) -> None:
        self._node, self._status, self._callback = node, status, callback
        exact = self._value("sync") == "exact"
        slop_s = 0.0 if exact else self._value("slop_s")
        topics = [CameraTopic(node, name) for name in INPUTS]
        timeout_s = self._value("pair_timeout_s")
        self._watch = CameraWatch(status, topics, slop_s, timeout_s, unfed)
        queue_size = self._value("queue_size")
        with ExitStack() as opened:  # closed again if a later step fails
            subscribers = [self._subscribe(topic, opened) for topic in topics]
            self._synchronizer = (
                TimeSynchronizer(subscribers, queue_size)
                if exact
                else ApproximateTimeSynchronizer(subscribers, queue_size, slop_s)
            )
            self._synchronizer.registerCallback(self._paired)
            # The node's own clock may be a simulation's, which can stand still.
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            timer = node.create_timer(1.0, self._watch.check, clock=steady)
            opened.callback(node.destroy_timer, timer)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Destroy the subscriptions and the timer: nothing arrives any more.

        A callback that runs at this moment in another thread may still hand on its frame.
        """
        self._opened.close()
        del self._synchronizer  # with the messages that it keeps
        self._status.input_problem("")

    def _value(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def _subscribe(self, topic: CameraTopic, opened: ExitStack) -> Subscriber:
        subscriber = Subscriber(
            self._node,
            topic.message_type,
            topic.subscribed,
            qos_profile=topic.qos,
            event_callbacks=topic.event_callbacks,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        opened.callback(self._node.destroy_subscription, subscriber.sub)
        subscriber.registerCallback(self._watch.saw, topic.name)
        return subscriber

    def _paired(self, *messages: Image | CompressedImage | CameraInfo) -> None:
        """Hand a frame on, unless it is too old or cannot be right. Never raises.

        The original's synchronizer would stay locked.
        """
        frame = CameraMessages(*messages)
        self._watch.paired()
        self._status.stats.receive()
        if warning := distortion_warning(frame.camera_info):
            self._status.log(logging.WARNING, warning, key="distortion")
        if self._too_old(frame):
            self._status.stats.skip()
        elif problem := self._frame_problem(frame):
            self._status.failed(InvalidFrame(problem))
        else:
            self._callback(frame)

    def _too_old(self, frame: CameraMessages) -> bool:
        """Whether a frame is beyond max_age_s; whatever is odd about its age is remembered."""
        now_ns, max_age_s = self._node.get_clock().now().nanoseconds, self._value("max_age_s")
        if now_ns == 0:  # simulated time that nobody publishes yet: every age is unknown
            self._watch.age_problem = NO_CLOCK if max_age_s else ""
            return False
        age_s = 1e-9 * (now_ns - stamp_ns_of(frame.rgb.header))
        self._watch.age_problem = age_problem(age_s, max_age_s)
        return too_old(age_s, max_age_s)

    def _frame_problem(self, frame: CameraMessages) -> str:
        """Why depth cannot be registered to colour, as far as the headers say."""
        here, there = frame.rgb.header.frame_id, frame.depth.header.frame_id
        if here == there or not self._value("require_same_frame"):
            return ""
        return (
            f"depth is in frame {there!r} but rgb in {here!r}: use the depth image registered to "
            "colour (aligned_depth_to_color). If it is registered and only named otherwise, set "
            "require_same_frame to false"
        )
