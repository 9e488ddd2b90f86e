"""The camera side of a node: three synchronised topics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sam6d_ros.apps.ros.camera import topics as camera_topics
from sam6d_ros.apps.ros.camera.intrinsics import Intrinsics
from sam6d_ros.apps.ros.camera.pairing import FramePairing
from sam6d_ros.apps.ros.camera.topics import INFO, INPUTS, PAIRED, TRANSIENT_LOCAL, CameraTopic
from sam6d_ros.apps.ros.camera.watch import CameraWatch
from sam6d_ros.apps.ros.conversions import distortion_warning, stamp_ns_of, stamp_problem
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.errors import InvalidFrame
from sam6d_ros.runtime.frame_age import age_problem, too_old
from sam6d_ros.runtime.status import HostStatus

NO_CLOCK = (
    "use_sim_time is true but /clock has no publisher: max_age_s cannot be applied. Have it "
    "published (ros2 bag play --clock), or set use_sim_time to false"
)

PARAMETERS = (
    Parameter(
        "sync",
        "approximate",
        "how rgb and depth are paired by their stamps",
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
        peers_load = node.peers_load if isinstance(node, ManagedNode) else bool
        self._watch = CameraWatch(status, topics, slop_s, timeout_s, unfed, peers_load)
        self._pairing = FramePairing([*PAIRED], self._value("queue_size"), slop_s, self._paired)
        self._intrinsics = Intrinsics()
        self._info_topic, self._listens_to_latched = topics[-1], False
        with ExitStack() as opened:  # closed again if a later step fails
            for topic in topics:
                self._subscribe(topic, opened)
            # The node's own clock may be a simulation's, which can stand still.
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            timer = node.create_timer(1.0, self._check, clock=steady)
            opened.callback(node.destroy_timer, timer)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Destroy the subscriptions and the timer: nothing arrives any more.

        A callback that runs at this moment in another thread may still hand on its frame.
        """
        self._opened.close()
        self._pairing.reset()
        self._status.input_problem("")

    def _value(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def _subscribe(self, topic: CameraTopic, opened: ExitStack) -> None:
        subscription = self._node.create_subscription(
            topic.message_type,
            topic.subscribed,
            partial(self._received, topic.name),
            qos_profile=topic.qos,
            event_callbacks=topic.event_callbacks,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        opened.callback(self._node.destroy_subscription, subscription)

    def _received(self, name: str, message: Image | CompressedImage | CameraInfo) -> None:
        """Take a message, unless its stamp is none: rclpy would raise, and end the node."""
        if problem := stamp_problem(message.header.stamp):
            self._status.failed(InvalidFrame(f"~/{name}: {problem}"))
            return
        self._watch.saw(message, name)
        if isinstance(message, CameraInfo):
            for complete in self._intrinsics.add(message):
                self._complete(CameraMessages(*complete))
            return
        self._pairing.add(name, message)

    def _listen_to_latched(self) -> None:
        """Subscribe camera_info a second time where it was published before this node listened."""
        if self._listens_to_latched or self._intrinsics.newest is not None:
            return
        if self._info_topic.is_latched():
            qos = QoSProfile(
                depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=TRANSIENT_LOCAL
            )
            subscription = self._node.create_subscription(
                CameraInfo, self._info_topic.subscribed, partial(self._received, INFO), qos
            )
            self._opened.callback(self._node.destroy_subscription, subscription)
            self._listens_to_latched = True

    def _check(self) -> None:
        """Look for problems of the inputs; once per second."""
        self._listen_to_latched()
        self._watch.check()
        if problem := self._watch.jam():
            self._pairing.reset()
            self._status.log(logging.WARNING, problem, key="jam")

    def _paired(self, rgb: Image | CompressedImage, depth: Image | CompressedImage) -> None:
        """Hand a frame on once there are intrinsics. Never raises.

        The original's synchronizer would stay locked.
        """
        self._watch.paired()
        for complete in self._intrinsics.complete(rgb, depth):
            self._complete(CameraMessages(*complete))

    def _complete(self, frame: CameraMessages) -> None:
        """Hand a frame on, unless it is too old or cannot be right."""
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
        """Whether a frame is beyond max_age_s; an implausible age is recorded."""
        now_ns, max_age_s = self._node.get_clock().now().nanoseconds, self._value("max_age_s")
        if now_ns == 0:  # simulated time without a publisher yet: every age is unknown
            self._watch.age_problem = NO_CLOCK if max_age_s else ""
            return False
        age_s = 1e-9 * (now_ns - stamp_ns_of(frame.rgb.header))
        self._watch.age_problem = age_problem(age_s, max_age_s)
        return too_old(age_s, max_age_s)

    def _frame_problem(self, frame: CameraMessages) -> str:
        """Return the reason why depth cannot be registered to colour, by the headers, or empty."""
        here, there = frame.rgb.header.frame_id, frame.depth.header.frame_id
        if here == there or not self._value("require_same_frame"):
            return ""
        return (
            f"depth is in frame {there!r} but rgb in {here!r}: use the depth image registered to "
            "colour (aligned_depth_to_color). If it is registered and only named otherwise, set "
            "require_same_frame to false"
        )
