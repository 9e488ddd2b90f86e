"""Watch on the camera's topics of one node: timely reports of faults, with remedies."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence

from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sam6d_ros.apps.ros.camera.topics import INFO, CameraTopic
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.node.graph import PROFILE
from sam6d_ros.runtime.pairing import LOSS_WINDOW_S, PairingWatch
from sam6d_ros.runtime.status import HostStatus

# Best-effort messages larger than this are mostly lost on Fast DDS's default transports.
LARGE_IMAGE_BYTES = 500_000
PIXEL_BYTES = {"rgb": 3, "depth": 2}  # of the usual raw encodings
# A camera that starts with the nodes may take that long to its first message.
START_S = 15.0
NO_CAMERA_EVERY_S = 60.0
KIND_CHARACTERS = 24  # beginning of a text that distinguishes kinds of problems


class CameraWatch:
    """Puts what is wrong with the inputs into the node's status, and into its log.

    Args:
        status: of the node.
        topics: the inputs, the reference of the pairing first.
        slop_s: largest difference of paired stamps.
        timeout_s: how long nothing may arrive or pair before that is a problem.
        unfed: what is wrong with a further input, which must have a publisher; or nothing.
        peers_load: returns whether another node loads, for which a replayed camera waits.
    """

    def __init__(
        self,
        status: HostStatus,
        topics: Sequence[CameraTopic],
        slop_s: float,
        timeout_s: float,
        unfed: Callable[[], str],
        peers_load: Callable[[], bool] = lambda: False,
    ) -> None:
        self._status, self._slop_s = status, slop_s
        self._timeout_s, self._unfed, self._fed = timeout_s, unfed, time.monotonic()
        self._peers_load = peers_load
        self._topics = {topic.name: topic for topic in topics}
        self._pairing = PairingWatch(tuple(self._topics), timeout_s, once=(INFO,))
        self._image_bytes = dict.fromkeys(self._topics, 0)
        self._started = time.monotonic()
        self.age_problem = ""

    def saw(self, message: Image | CompressedImage | CameraInfo, name: str) -> None:
        """Note a message."""
        self._pairing.saw(name, stamp_ns_of(message.header))
        if isinstance(message, CameraInfo):
            self._expect(message.width * message.height)
        else:
            self._image_bytes[name] = max(self._image_bytes[name], len(message.data))

    def _expect(self, pixels: int) -> None:
        """Note how large the images are that a camera_info belongs to, even if none arrives."""
        for name, size in PIXEL_BYTES.items():
            if self._topics[name].transport == "raw":
                self._image_bytes[name] = max(self._image_bytes[name], size * pixels)

    def paired(self) -> None:
        """Note a synchronised frame."""
        self._pairing.paired()

    def jam(self) -> str:
        """Return why the messages that wait should be dropped; empty if they should not."""
        return self._pairing.jam(self._slop_s)

    def check(self) -> None:
        """Report problems of the inputs; to be called once per second."""
        problem = (
            self._incompatible()
            or self._lossy()  # before its consequences: silence, stamps apart, full queues
            or self._missing()
            or self._pairing.never_pairs(self._slop_s)
            or self.age_problem
            or self._alone()
        )
        self._status.input_problem(problem)
        if problem:
            self._log(problem)

    def _log(self, problem: str) -> None:
        """Log a problem; before the first message of a camera, as information, and rarely."""
        if any(self._pairing.counts.values()):
            kind = problem[:KIND_CHARACTERS]
            self._status.log(logging.WARNING, problem, f"inputs: {kind}")
        elif time.monotonic() - self._started < START_S or self._peers_load():
            text = f"waiting for the camera: {problem}"
            self._status.log(logging.INFO, text, "waiting", NO_CAMERA_EVERY_S)
        else:
            self._status.log(logging.WARNING, problem, "no camera", NO_CAMERA_EVERY_S)

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
        """Report that the further input has had no publisher for some time."""
        problem, now = self._unfed(), time.monotonic()
        if not problem:
            self._fed = now
        return problem if now - self._fed > self._timeout_s else ""

    def _lossy(self) -> str:
        """Small messages arrive but the large ones of the same camera do not."""
        name = self._pairing.lost("camera_info")
        if not name or self._image_bytes[name] < LARGE_IMAGE_BYTES:
            return ""
        topic, counts = self._topics[name], self._pairing.recent_counts()
        publishers = topic.publisher_nodes()
        if not publishers or topic.is_reliable:
            return ""
        return (
            f"images are lost in the transport: in the last {LOSS_WINDOW_S:.0f} s "
            f"{counts['camera_info']} camera_info but only {counts[name]} of ~/{name} "
            f"({1e-6 * self._image_bytes[name]:.1f} MB each) arrived. {loss_remedy(publishers)}"
        )


def unpublished(node: Node, name: str, remedy: str) -> str:
    """Return a warning if the topic that ``~/name`` is remapped to has no publisher; else empty."""
    topic = node.resolve_topic_name(f"~/{name}")
    if node.count_publishers(topic):
        return ""
    return f"no publisher on ~/{name} ({topic}): {remedy}"


def profile_hint() -> str:
    """Return the remedy for lost images; empty if this process has applied it."""
    if os.environ.get(PROFILE) or not _on_fast_dds():
        return ""
    return (
        f"{PROFILE} is not set: Fast DDS loses large best-effort images on its "
        "default transports. Point it at this package's config/fastdds.xml, for the camera "
        "driver too"
    )


def loss_remedy(publishers: Sequence[str]) -> str:
    """Return what to do about images that these nodes send and that do not arrive."""
    if not _on_fast_dds():
        return (
            "Raise the socket buffers of both computers (sysctl net.core.rmem_max), or use the "
            "compressed topics (docs/troubleshooting.md)"
        )
    return profile_hint() or (
        f"Set {PROFILE} to this package's config/fastdds.xml in the process of "
        f"{', '.join(publishers)} too, and start it again: Fast DDS loses large best-effort "
        "images on its default transports, and here the profile is set"
    )


def _on_fast_dds() -> bool:
    return get_rmw_implementation_identifier().startswith("rmw_fastrtps")
