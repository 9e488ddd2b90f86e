"""Watches the camera's topics of one node, and says in time what is wrong with them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sam6d_ros.apps.ros.camera_topics import CameraTopic
from sam6d_ros.apps.ros.children import PROFILE
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.runtime.pairing import PairingWatch
from sam6d_ros.runtime.status import THROTTLE_S, HostStatus

# Best-effort messages larger than this are mostly lost on Fast DDS's default transports.
LARGE_IMAGE_BYTES = 500_000
NO_CAMERA_EVERY_S = 60.0
KIND_CHARACTERS = 24  # how a problem's text begins tells the kinds apart


class CameraWatch:
    """Puts what is wrong with the inputs into the node's status, and into its log.

    Args:
        status: of the node.
        topics: the inputs, the reference of the pairing first.
        slop_s: largest difference of paired stamps.
        timeout_s: how long nothing may arrive or pair before that is a problem.
        unfed: what is wrong with a further input, which must have a publisher; or nothing.
    """

    def __init__(
        self,
        status: HostStatus,
        topics: Sequence[CameraTopic],
        slop_s: float,
        timeout_s: float,
        unfed: Callable[[], str],
    ) -> None:
        self._status, self._slop_s = status, slop_s
        self._timeout_s, self._unfed, self._fed = timeout_s, unfed, time.monotonic()
        self._topics = {topic.name: topic for topic in topics}
        self._pairing = PairingWatch(tuple(self._topics), timeout_s)
        self._image_bytes = 0
        self.age_problem = ""

    def saw(self, message: Image | CompressedImage | CameraInfo, name: str) -> None:
        """Note a message."""
        self._pairing.saw(name, stamp_ns_of(message.header))
        if name != "camera_info":
            self._image_bytes = max(self._image_bytes, len(message.data))

    def paired(self) -> None:
        """Note a synchronised frame."""
        self._pairing.paired()

    def check(self) -> None:
        """To be called once per second: say what is wrong with the inputs, if anything is."""
        problem = (
            self._incompatible()
            or self._missing()
            or self._pairing.never_pairs(self._slop_s)
            or self._lossy()
            or self.age_problem
            or self._alone()
        )
        self._status.input_problem(problem)
        if problem:
            # no camera at all is often meant, so it is said rarely
            every_s = THROTTLE_S if any(self._pairing.counts.values()) else NO_CAMERA_EVERY_S
            kind = problem[:KIND_CHARACTERS]
            self._status.log(logging.WARNING, problem, f"inputs: {kind}", every_s)

    def _incompatible(self) -> str:
        """The first input whose QoS keeps a publisher away."""
        return next(filter(None, (topic.qos_problem() for topic in self._topics.values())), "")

    def _missing(self) -> str:
        """Inputs that nothing comes from, with the number of publishers."""
        silent = [self._topics[name] for name in self._pairing.silent()]
        if not silent:
            return ""
        publishers = [topic.publishers() for topic in silent]
        listed = ", ".join(
            f"~/{topic.name} ({topic.topic}, {count} publishers)"
            for topic, count in zip(silent, publishers, strict=True)
        )
        remedy = (
            "Is the camera running?" if all(publishers) else "Remap them to the camera's topics."
        )
        transports = "".join(topic.transport_hint() for topic in silent)
        camera_is_silent = any(topic.name == "camera_info" for topic in silent)
        return (
            f"no message on {listed}. {transports}{remedy} "
            f"{'' if camera_is_silent else profile_hint()}"
        ).strip()

    def _alone(self) -> str:
        """Nobody has offered the further input for some time."""
        problem, now = self._unfed(), time.monotonic()
        if not problem:
            self._fed = now
        return problem if now - self._fed > self._timeout_s else ""

    def _lossy(self) -> str:
        """Small messages arrive but the large ones of the same camera do not."""
        counts = self._pairing.counts
        images = min(counts["rgb"], counts["depth"])
        if self._image_bytes < LARGE_IMAGE_BYTES or images >= counts["camera_info"] / 2:
            return ""
        return profile_hint() and (
            f"{counts['camera_info']} camera_info but only {images} images arrived. "
            f"{profile_hint()}"
        )


def unpublished(node: Node, name: str, remedy: str) -> str:
    """What to say when nobody publishes what ``~/name`` is remapped to; else nothing."""
    topic = node.resolve_topic_name(f"~/{name}")
    if node.count_publishers(topic):
        return ""
    return f"nobody publishes ~/{name} ({topic}): {remedy}"


def profile_hint() -> str:
    """What to do about images that get lost; nothing when it is done in this process."""
    if os.environ.get(PROFILE):
        return ""
    return (
        f"{PROFILE} is not set: Fast DDS loses large best-effort images on its "
        "default transports. Point it at this package's config/fastdds.xml, for the camera "
        "driver too"
    )
