"""``replay_node``: publishes a BOP scene or a folder of frames as a camera would."""

from __future__ import annotations

from sam6d_ros.apps.interrupts import end_process
from sam6d_ros.apps.ros.node.missing_ros import exit_without_ros

if __name__ == "__main__":
    exit_without_ros("replay_node")  # before the imports that need ROS 2

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Bool, Header

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.camera.topics import TRANSPORTS
from sam6d_ros.apps.ros.node import spin, topics
from sam6d_ros.apps.ros.node.parameters import Parameter, declare
from sam6d_ros.apps.ros.node.qos import LATCHED, RELIABILITY
from sam6d_ros.frames.messages.compressed import CODECS
from sam6d_ros.frames.messages.images import DEPTH_ENCODINGS
from sam6d_ros.frames.recordings import Recording
from sam6d_ros.types import Frame

PLAIN = "none"

PARAMETERS = (
    Parameter("path", "", "folder with rgb/, depth/ and a camera file; one BOP scene is such"),
    Parameter("image", -1, "number of the only image to send; -1 sends all", limits=(-1, 10**9)),
    Parameter("rate_hz", 5.0, "frames per second", limits=(0.01, 1000.0)),
    Parameter("loop", True, "start again after the last frame"),
    Parameter("frame_id", "camera_optical_frame", "frame_id of every message"),
    Parameter("depth_encoding", "16UC1", "encoding of the depth images", choices=DEPTH_ENCODINGS),
    Parameter(
        "rgb_compression",
        PLAIN,
        "none, or what is sent on …/compressed instead",
        choices=(PLAIN, "jpeg", "png"),
    ),
    Parameter(
        "depth_compression",
        PLAIN,
        "none, or what is sent on …/compressedDepth instead",
        choices=(PLAIN, *CODECS),
    ),
    Parameter(
        "reliability",
        "reliable",
        "QoS offered; reliable suits every reader",
        choices=tuple(RELIABILITY),
    ),
    Parameter(
        "wait_for", [""], "latched std_msgs/Bool topics that must be true before the first frame"
    ),
    Parameter(
        "wait_for_subscribers",
        1,
        "readers that each of the three topics needs before the first frame",
        limits=(0, 100),
    ),
)


class ReplayNode(Node):
    """A camera made of files. Stamps are the node's clock at the time of sending."""

    def __init__(self) -> None:
        super().__init__("replay_node")
        declare(self, PARAMETERS)
        self._recording = Recording(Path(self._value("path")).expanduser(), self._value("image"))
        self._next, self._told = 0, ""
        qos = QoSProfile(depth=5, reliability=RELIABILITY[self._value("reliability")])
        self._rgb = self._image_publisher("rgb", topics.REPLAY_RGB, qos)
        self._depth = self._image_publisher("depth", topics.REPLAY_DEPTH, qos)
        self._info = self.create_publisher(CameraInfo, topics.REPLAY_CAMERA_INFO, qos)
        self._waiting_for = {topic for topic in self._value("wait_for") if topic}
        for topic in sorted(self._waiting_for):
            self.create_subscription(Bool, topic, self._became_ready(topic), LATCHED)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(1.0 / self._value("rate_hz"), self._tick, clock=steady)
        self.get_logger().info(f"{len(self._recording)} frames in {self._recording.folder}")

    def _image_publisher(self, name: str, topic: str, qos: QoSProfile) -> Publisher:
        if self._value(f"{name}_compression") == PLAIN:
            return self.create_publisher(Image, topic, qos)
        return self.create_publisher(CompressedImage, f"{topic}/{TRANSPORTS[name][1]}", qos)

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _became_ready(self, topic: str) -> Callable[[Bool], None]:
        def note(message: Bool) -> None:
            if message.data:
                self._waiting_for.discard(topic)

        return note

    def _tick(self) -> None:
        """Send the next frame, once all conditions hold."""
        wanted = self._value("wait_for_subscribers") if self._next == 0 else 0
        missing = self._missing(wanted)
        if missing and missing != self._told:
            self.get_logger().info(f"waiting for {missing}")
        self._told = missing
        if missing:
            return
        self._publish(self._next)
        self._next += 1
        if self._next == len(self._recording):
            self._next = 0
            if not self._value("loop"):
                self._timer.cancel()
                self.get_logger().info("all frames are sent")

    def _missing(self, readers: int) -> str:
        """Describe the condition of the next frame that does not hold; empty if all hold."""
        if self.get_clock().now().nanoseconds == 0:  # a simulation's may not run yet
            return "/clock, which use_sim_time needs"
        if self._waiting_for:
            return f"{', '.join(sorted(self._waiting_for))} to be true"
        publishers = (self._rgb, self._depth, self._info)
        unread = [p.topic_name for p in publishers if p.get_subscription_count() < readers]
        return f"{readers} readers of {', '.join(unread)}" if unread else ""

    def _publish(self, index: int) -> None:
        frame = self._recording.frame(index)
        now_ns = self.get_clock().now().nanoseconds
        header = conversions.header_from(now_ns, self._value("frame_id"))
        self._info.publish(conversions.camera_info_from_intrinsics(frame.camera, header))
        self._depth.publish(self._depth_message(frame, header))
        self._rgb.publish(self._rgb_message(frame, header))

    def _depth_message(self, frame: Frame, header: Header) -> Image | CompressedImage:
        encoding, codec = self._value("depth_encoding"), self._value("depth_compression")
        if codec == PLAIN:
            return conversions.depth_image_from_metres(frame.depth, header, encoding)
        return conversions.compressed_depth_from_metres(frame.depth, header, encoding, codec)

    def _rgb_message(self, frame: Frame, header: Header) -> Image | CompressedImage:
        codec = self._value("rgb_compression")
        if codec == PLAIN:
            return conversions.image_from_rgb(frame.rgb, header)
        return conversions.compressed_image_from_rgb(frame.rgb, header, codec)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return spin.run([ReplayNode], args)


if __name__ == "__main__":
    end_process(main())
