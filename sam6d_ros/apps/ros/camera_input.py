"""The camera side of a node: three synchronised topics, and a watchdog over them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from message_filters import ApproximateTimeSynchronizer, Subscriber, TimeSynchronizer
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sam6d_ros.apps.ros import camera_topics
from sam6d_ros.apps.ros.camera_topics import INPUTS, CameraTopic
from sam6d_ros.apps.ros.children import PROFILE
from sam6d_ros.apps.ros.conversions import distortion_warning, stamp_ns_of
from sam6d_ros.apps.ros.frame_age import age_problem, too_old
from sam6d_ros.apps.ros.pairing import PairingWatch
from sam6d_ros.apps.ros.parameters import Parameter
from sam6d_ros.apps.ros.status import THROTTLE_S, NodeStatus, State
from sam6d_ros.errors import InvalidFrame

# Best-effort messages larger than this are mostly lost on Fast DDS's default transports.
LARGE_IMAGE_BYTES = 500_000
NO_CAMERA_EVERY_S = 60.0
NO_CLOCK = (
    "use_sim_time is true but nobody publishes /clock: max_age_s cannot be applied. Have it "
    "published (ros2 bag play --clock), or set use_sim_time to false"
)
KIND_CHARACTERS = 24  # how a problem's text begins tells the kinds apart

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


class CameraInput:
    """Subscribes ``~/rgb``, ``~/depth``, ``~/camera_info``; calls back with each matching set."""

    def __init__(
        self, node: Node, status: NodeStatus, callback: Callable[[CameraMessages], None]
    ) -> None:
        self._node, self._status, self._callback = node, status, callback
        self._exact = self._value("sync") == "exact"
        self._slop_s = 0.0 if self._exact else self._value("slop_s")
        self._watch = PairingWatch(tuple(INPUTS), self._value("pair_timeout_s"))
        self._image_bytes = 0
        self._age_problem = ""
        self._topics = {name: CameraTopic(node, name) for name in INPUTS}
        self._subscribers = [self._subscribe(topic) for topic in self._topics.values()]
        queue_size = self._value("queue_size")
        self._synchronizer = (
            TimeSynchronizer(self._subscribers, queue_size)
            if self._exact
            else ApproximateTimeSynchronizer(self._subscribers, queue_size, self._slop_s)
        )
        self._synchronizer.registerCallback(self._paired)
        # The node's own clock may be a simulation's, which can stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(1.0, self._check, clock=steady)

    def close(self) -> None:
        """Destroy the subscriptions and the timer: nothing is called back any more.

        To be called in the executor's thread, as every other change of a node's subscriptions.
        """
        self._node.destroy_timer(self._timer)
        for subscriber in self._subscribers:
            self._node.destroy_subscription(subscriber.sub)
        self._subscribers = []
        del self._synchronizer  # with the messages that it keeps
        self._status.input_problem = ""

    def _value(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def _subscribe(self, topic: CameraTopic) -> Subscriber:
        subscriber = Subscriber(
            self._node,
            topic.message_type,
            topic.subscribed,
            qos_profile=topic.qos,
            event_callbacks=topic.event_callbacks,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        subscriber.registerCallback(self._saw, topic.name)
        return subscriber

    def _saw(self, message: Image | CompressedImage | CameraInfo, name: str) -> None:
        self._watch.saw(name, stamp_ns_of(message.header))
        if name != "camera_info":
            self._image_bytes = max(self._image_bytes, len(message.data))

    def _paired(self, *messages: Image | CompressedImage | CameraInfo) -> None:
        """Hand a frame on, unless it is too old or cannot be right. Never raises.

        The original's synchronizer would stay locked.
        """
        frame = CameraMessages(*messages)
        self._watch.paired()
        self._status.stats.receive()
        if warning := distortion_warning(frame.camera_info):
            self._status.log("warning", warning, key="distortion")
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
            self._age_problem = max_age_s and NO_CLOCK
            return False
        age_s = 1e-9 * (now_ns - stamp_ns_of(frame.rgb.header))
        self._age_problem = age_problem(age_s, max_age_s)
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

    def _check(self) -> None:
        """Once per second: say what is wrong with the inputs, if anything is."""
        if self._status.state is State.LOADING:
            self._watch.restart()  # the camera may well wait until the node is ready
            return
        problem = (
            self._incompatible()
            or self._missing()
            or self._watch.never_pairs(self._slop_s)
            or self._lossy()
            or self._age_problem
        )
        self._status.input_problem = problem
        if problem:
            # no camera at all is often meant, so it is said rarely
            every_s = THROTTLE_S if any(self._watch.counts.values()) else NO_CAMERA_EVERY_S
            kind = problem[:KIND_CHARACTERS]
            self._status.log("warning", problem, f"inputs: {kind}", every_s)

    def _incompatible(self) -> str:
        """The first input whose QoS keeps a publisher away."""
        return next(filter(None, (topic.qos_problem() for topic in self._topics.values())), "")

    def _missing(self) -> str:
        """Inputs that nothing comes from, with the number of publishers."""
        silent = [self._topics[name] for name in self._watch.silent()]
        if not silent:
            return ""
        listed = ", ".join(
            f"~/{topic.name} ({topic.topic}, {topic.publishers()} publishers)" for topic in silent
        )
        transports = "".join(topic.transport_hint() for topic in silent)
        camera_is_silent = any(topic.name == "camera_info" for topic in silent)
        return (
            f"no message on {listed}. {transports}Remap them to the camera's topics. "
            f"{'' if camera_is_silent else self._profile_hint()}"
        ).strip()

    def _lossy(self) -> str:
        """Small messages arrive but the large ones of the same camera do not."""
        counts = self._watch.counts
        images = min(counts["rgb"], counts["depth"])
        if self._image_bytes < LARGE_IMAGE_BYTES or images >= counts["camera_info"] / 2:
            return ""
        return self._profile_hint() and (
            f"{counts['camera_info']} camera_info but only {images} images arrived. "
            f"{self._profile_hint()}"
        )

    @staticmethod
    def _profile_hint() -> str:
        if os.environ.get(PROFILE):
            return ""
        return (
            f"{PROFILE} is not set: Fast DDS loses large best-effort images on its "
            "default transports. Point it at this package's config/fastdds.xml, for the camera "
            "driver too"
        )
