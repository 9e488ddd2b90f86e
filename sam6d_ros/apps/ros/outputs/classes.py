"""Topics that follow the set of objects: poses per class, class numbers, the object database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from geometry_msgs.msg import PoseArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo, VisionInfo

from sam6d_ros import __version__
from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.qos import LATCHED, RESULTS
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import NotReady
from sam6d_ros.types import PoseEstimates


def topic_names(classes: Iterable[str]) -> dict[str, str]:
    """Return a valid, distinct last part of a topic name for each class.

    Letters (ASCII), digits and single underscores stay; everything else becomes an underscore.
    No name begins with a digit, which ROS forbids, or an underscore, which hides a topic.
    """
    names: dict[str, str] = {}
    for name in classes:
        base = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        if not base or base[0].isdigit():
            base = f"object_{base}".rstrip("_")
        candidate, number = base, 2
        while candidate in names.values():
            candidate, number = f"{base}_{number}", number + 1
        names[name] = candidate
    return names


class ClassPoses:
    """``<folder>/<class>``: poses of one class as a PoseArray, for tools that read no other.

    They are plain publishers, which come and go with the classes: callers publish only while the
    node is active.
    """

    def __init__(self, node: ManagedNode, folder: str = topics.CLASS_POSES) -> None:
        self._node, self._folder = node, folder
        self._publishers: dict[str, Publisher] = {}

    def update(self, classes: Iterable[str]) -> None:
        """Keep one topic for each of these classes, and no other; none while the node stops."""
        wanted = topic_names(classes)
        with suppress(NotReady):
            self._node.slow_calls.in_executor(lambda: self._make(wanted))

    def _make(self, wanted: Mapping[str, str]) -> None:
        topics = {
            self._node.resolve_topic_name(f"{self._folder}/{token}"): name
            for name, token in wanted.items()
        }
        kept = {p.topic_name: p for p in self._publishers.values() if p.topic_name in topics}
        for publisher in self._publishers.values():
            if publisher.topic_name not in kept:
                self._node.destroy_publisher(publisher)
        self._publishers = {
            name: kept.get(topic) or self._node.create_publisher(PoseArray, topic, RESULTS)
            for topic, name in topics.items()
        }

    def publish(self, poses: PoseEstimates, header: Header) -> None:
        """One message per class, empty for a class that was not found."""
        for name, publisher in self._publishers.items():
            publisher.publish(conversions.pose_array(poses, header, name))

    def publish_one(self, class_id: str, message: PoseArray) -> None:
        """One message of one class."""
        self._publishers[class_id].publish(message)


class ClassIds:
    """``~/label_info``, latched: the numbers of the classes in label images.

    A number stays with its class as long as the node lives, also when the object is removed and
    added again, so that a recording has one meaning.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(LabelInfo, topics.LABEL_INFO, LATCHED)
        self._all: dict[str, int] = {}
        self.numbers: dict[str, int] = {}

    def update(self, classes: Iterable[str]) -> None:
        """Number these classes, from 1, and publish the numbers if they changed."""
        classes = list(classes)
        for name in classes:
            self._all.setdefault(name, len(self._all) + 1)
        numbers = {name: self._all[name] for name in classes}
        if numbers != self.numbers:
            self.numbers = numbers
            self._publisher.publish(conversions.label_info(numbers, header_of_now(self._node)))

    def include(self, classes: Iterable[str]) -> dict[str, int]:
        """Add classes; return the numbers of all.

        An engine that two nodes share may find an object that only the other node has registered.

        Returns:
            Numbers by class.
        """
        self.update([*self.numbers, *classes])
        return self.numbers


class DatabaseInfo:
    """``~/vision_info``, latched: where the objects are defined, and a count of their changes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(VisionInfo, topics.VISION_INFO, LATCHED)
        self._version = 0
        self._known: object = None

    def update(self, models: Mapping[str, ObjectModel], backend: str, location: str) -> None:
        """Publish these objects if they or their method have changed."""
        known = ({name: m.content_hash for name, m in models.items()}, backend, location)
        if known == self._known:
            return
        self._known, self._version = known, self._version + 1
        self._publisher.publish(
            VisionInfo(
                header=header_of_now(self._node),
                method=f"sam6d_ros {__version__}, backend {backend}",
                database_location=location,
                database_version=self._version,
            )
        )


def header_of_now(node: Node) -> Header:
    """For what belongs to no image: the node's time, no frame."""
    return Header(stamp=node.get_clock().now().to_msg())
