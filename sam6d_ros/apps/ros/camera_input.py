"""The camera side of a node: three synchronised topics, and a watchdog over them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from message_filters import ApproximateTimeSynchronizer, Subscriber, TimeSynchronizer
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from sam6d_ros.apps.ros.children import PROFILE
from sam6d_ros.apps.ros.conversions import distortion_warning, stamp_ns_of
from sam6d_ros.apps.ros.pairing import PairingWatch
from sam6d_ros.apps.ros.parameters import Parameter
from sam6d_ros.apps.ros.status import THROTTLE_S, NodeStatus, State

RELIABILITY = {
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
    "reliable": ReliabilityPolicy.RELIABLE,
}
# Best-effort messages larger than this are mostly lost on Fast DDS's default transports.
LARGE_IMAGE_BYTES = 500_000
NO_CAMERA_EVERY_S = 60.0
KIND_CHARACTERS = 24  # how a problem's text begins tells the kinds apart
INPUTS = {"rgb": Image, "depth": Image, "camera_info": CameraInfo}

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
    *(
        Parameter(
            f"{name}.reliability",
            "best_effort",
            f"QoS of ~/{name}; best_effort matches every publisher",
            choices=tuple(RELIABILITY),
        )
        for name in INPUTS
    ),
)


class CameraMessages(NamedTuple):
    """One synchronised set of camera messages."""

    rgb: Image
    depth: Image
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
        self._subscribers = {name: self._subscribe(name) for name in INPUTS}
        queue_size = self._value("queue_size")
        filters = list(self._subscribers.values())
        self._synchronizer = (
            TimeSynchronizer(filters, queue_size)
            if self._exact
            else ApproximateTimeSynchronizer(filters, queue_size, self._slop_s)
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
        for subscriber in self._subscribers.values():
            self._node.destroy_subscription(subscriber.sub)
        self._subscribers.clear()
        del self._synchronizer  # with the messages that it keeps
        self._status.input_problem = ""

    def _value(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def _subscribe(self, name: str) -> Subscriber:
        reliability = RELIABILITY[self._value(f"{name}.reliability")]
        qos = QoSProfile(depth=5, reliability=reliability)
        subscriber = Subscriber(self._node, INPUTS[name], f"~/{name}", qos_profile=qos)
        subscriber.registerCallback(self._saw, name)
        return subscriber

    def _saw(self, message: Image | CameraInfo, name: str) -> None:
        self._watch.saw(name, stamp_ns_of(message.header))
        if name != "camera_info":
            self._image_bytes = max(self._image_bytes, len(message.data))

    def _paired(self, rgb: Image, depth: Image, camera_info: CameraInfo) -> None:
        self._watch.paired()
        self._status.received += 1
        if warning := distortion_warning(camera_info):
            self._status.log("warning", warning, key="distortion")
        self._callback(CameraMessages(rgb, depth, camera_info))

    def _check(self) -> None:
        """Once per second: say what is wrong with the inputs, if anything is."""
        if self._status.state is State.LOADING:
            self._watch.restart()  # the camera may well wait until the node is ready
            return
        problem = self._missing() or self._watch.never_pairs(self._slop_s) or self._lossy()
        self._status.input_problem = problem
        if problem:
            # no camera at all is often meant, so it is said rarely
            every_s = THROTTLE_S if any(self._watch.counts.values()) else NO_CAMERA_EVERY_S
            kind = problem[:KIND_CHARACTERS]
            self._status.log("warning", problem, f"inputs: {kind}", every_s)

    def _missing(self) -> str:
        """Inputs that nothing comes from, with the number of publishers."""
        silent = self._watch.silent()
        if not silent:
            return ""
        topics = {name: self._node.resolve_topic_name(f"~/{name}") for name in silent}
        listed = ", ".join(
            f"~/{name} ({topic}, {self._node.count_publishers(topic)} publishers)"
            for name, topic in topics.items()
        )
        hint = "" if "camera_info" in silent else self._profile_hint()
        return (
            f"no message on {listed}. Remap them to the camera's topics; a publisher that is there "
            f"but not heard may offer another QoS (see the reliability parameters). {hint}"
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
