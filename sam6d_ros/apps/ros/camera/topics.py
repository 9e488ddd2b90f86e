"""Topics of the camera: types, transports, QoS, and reasons why no message arrives."""

from __future__ import annotations

from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.apps.ros.node.qos import RELIABILITY

TRANSIENT_LOCAL = DurabilityPolicy.TRANSIENT_LOCAL
INFO = "camera_info"
INPUTS = {"rgb": Image, "depth": Image, INFO: CameraInfo}
PAIRED = ("rgb", "depth")  # by their stamps; intrinsics may come once, or at another rate
# As image_transport names them: a transport that is not raw is also the end of its topic's name.
TRANSPORTS = {
    "rgb": ("raw", "compressed"),
    "depth": ("raw", "compressedDepth", "compressed"),  # the last one: PNG of 16 bits
}

PARAMETERS = (
    *(
        Parameter(
            f"{name}.image_transport",
            "raw",
            f"how ~/{name} comes; {' or '.join(choices[1:])} reads the topic ~/{name}/…",
            choices=choices,
        )
        for name, choices in TRANSPORTS.items()
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


class CameraTopic:
    """One input of a node: what to subscribe, and what keeps its messages away."""

    def __init__(self, node: Node, name: str) -> None:
        self._node, self.name = node, name
        transport = "raw"
        if name in TRANSPORTS:
            transport = node.get_parameter(f"{name}.image_transport").value
        self.transport = transport
        self.message_type = INPUTS[name] if transport == "raw" else CompressedImage
        # Remapping applies to the plain name, as in image_transport; and to this one again.
        self.subscribed = f"~/{name}" if transport == "raw" else self._topic_of(transport)
        self.topic = node.resolve_topic_name(self.subscribed)
        reliability = RELIABILITY[node.get_parameter(f"{name}.reliability").value]
        self.qos = QoSProfile(depth=5, reliability=reliability)
        self.event_callbacks = SubscriptionEventCallbacks(incompatible_qos=self._refused)
        self._refused_policy = ""

    def _topic_of(self, transport: str) -> str:
        """Full name of the topic that a transport uses."""
        topic = self._node.resolve_topic_name(f"~/{self.name}")
        if transport == "raw" or topic.endswith(f"/{transport}"):
            return topic
        return f"{topic}/{transport}"

    def _refused(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        """Record an incompatible publisher; the graph names it later."""
        self._refused_policy = qos_policy_name_from_kind(event.last_policy_kind).lower()

    def qos_problem(self) -> str:
        """Publishers with an incompatible QoS, with the remedy."""
        policy = self._refused_policy
        if not policy:
            return ""
        refused = [
            info
            for info in self._node.get_publishers_info_by_topic(self.topic)
            if qos_check_compatible(info.qos_profile, self.qos)[0] == QoSCompatibility.ERROR
        ]
        if not refused:  # it is gone, or offers something else now
            self._refused_policy = ""
            return ""
        offered, requested = (
            getattr(value, "name", str(value)).lower()
            for value in (getattr(refused[0].qos_profile, policy), getattr(self.qos, policy))
        )
        return (
            f"incompatible QoS on ~/{self.name} ({self.topic}): node {refused[0].node_name} offers "
            f"{policy} {offered}, this node requests {requested}. {self._remedy(policy)}"
        )

    def _remedy(self, policy: str) -> str:
        if policy == "reliability":
            return f"Set {self.name}.reliability to best_effort, or have the publisher be reliable"
        return f"Have the publisher offer another {policy}"

    def is_latched(self) -> bool:
        """Whether a publisher keeps its message for subscriptions that come later."""
        infos = self._node.get_publishers_info_by_topic(self.topic)
        return any(info.qos_profile.durability == TRANSIENT_LOCAL for info in infos)

    def publishers(self) -> int:
        """Return the number of publishers on the topic, of any message type."""
        return self._node.count_publishers(self.topic)

    def publisher_nodes(self) -> list[str]:
        """Full names of the nodes that publish on the topic, each once."""
        infos = self._node.get_publishers_info_by_topic(self.topic)
        names = (f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos)
        return list(dict.fromkeys(names))

    @property
    def is_reliable(self) -> bool:
        """Whether the subscription requests messages again that were lost."""
        return bool(self.qos.reliability == ReliabilityPolicy.RELIABLE)

    def transport_hint(self) -> str:
        """The image_transport to set, when that is what comes instead; else nothing."""
        if self._carries(self.topic, self.message_type):
            return ""
        for other in TRANSPORTS.get(self.name, ()):
            topic = self._topic_of(other)
            kind = Image if other == "raw" else CompressedImage
            if other != self.transport and self._carries(topic, kind):
                return f"{topic} is published: set {self.name}.image_transport to {other}. "
        return ""

    def _carries(self, topic: str, kind: type) -> bool:
        wanted = f"sensor_msgs/msg/{kind.__name__}"
        infos = self._node.get_publishers_info_by_topic(topic)
        return any(info.topic_type == wanted for info in infos)
