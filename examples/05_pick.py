r"""ROS 2 client that picks: a fresh and certain pose in the base frame, and its best grasp.

ros2 launch sam6d_ros pipeline.launch.py objects_file:=objects.yaml camera_ns:=/camera \
    grasps:=true base_frame:=base_link
python examples/05_pick.py --ros-args -p class_id:=mug -p base_frame:=base_link \
    -r '~/detections:=/pose_node/detections' -r '~/base/grasps:=/grasp_node/base/grasps'

It prints the pose and the grasp and ends; a robot would plan a motion there instead.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.task import Future
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener
from vision_msgs.msg import Detection3D, Detection3DArray

from sam6d_ros.apps.ros.conversions.rigid import matrix_from_transform, transform_from_pose
from sam6d_ros.msg import Grasp, GraspArray


class Picker(Node):
    """Waits for an object of one class that is worth a motion of the robot."""

    def __init__(self) -> None:
        super().__init__("picker")
        self.class_id = self.declare_parameter("class_id", "").value
        self.base_frame = self.declare_parameter("base_frame", "base_link").value
        self.max_age_s = self.declare_parameter("max_age_s", 20.0).value
        self.min_score = self.declare_parameter("min_score", 0.6).value
        self.max_std_m = self.declare_parameter("max_std_m", 0.005).value
        self.picked = Future()
        self.grasps = GraspArray()
        self.buffer = Buffer(node=self)
        self.listener = TransformListener(self.buffer, self)
        self.inputs = (
            self.create_subscription(GraspArray, "~/base/grasps", self.on_grasps, 5),
            self.create_subscription(Detection3DArray, "~/detections", self.on_detections, 5),
        )
        self.detections = Detection3DArray()
        report_s = self.declare_parameter("report_s", 5.0).value
        self.create_timer(report_s, self.report_silence)

    def on_grasps(self, message: GraspArray) -> None:
        """Keep the grasps of the newest image; they belong to the detections of its stamp."""
        self.grasps = message
        self.try_to_pick()

    def on_detections(self, message: Detection3DArray) -> None:
        """Keep the detections of the newest image."""
        self.detections = message
        self.try_to_pick()

    def report_silence(self) -> None:
        """Log the topics on which nothing has arrived."""
        for topic, message in zip(self.inputs, (self.grasps, self.detections), strict=True):
            if not message.header.frame_id:
                name = topic.topic_name
                self.get_logger().warning(
                    f"no message on {name} yet ({self.count_publishers(name)} publishers); does "
                    "the pipeline run, with grasps:=true, and is the topic remapped?"
                )

    def try_to_pick(self) -> None:
        """Pick if all conditions hold; otherwise log the first one that does not."""
        if self.detections.header.stamp != self.grasps.header.stamp or self.picked.done():
            return  # the other message of this image is still to come
        # Freshness: the stamp is the image's, and the world may have moved since.
        age_s = (self.get_clock().now() - Time.from_msg(self.detections.header.stamp)).nanoseconds
        age_s *= 1e-9
        if age_s > self.max_age_s:
            return self.wait(f"the image is {age_s:.1f} s old")
        found = [d for d in self.detections.detections if self.is_certain(d)]
        if not found:
            return self.wait(f"no {self.class_id!r} with a score of {self.min_score} or more")
        best = max(found, key=lambda d: d.results[0].hypothesis.score)
        grasps = [grasp for grasp in self.grasps.grasps if grasp.object_id == best.id]
        if not grasps:
            return self.wait(f"{best.id} has no grasp")
        self.pick(best, grasps[0])  # they are sorted, the best first

    def is_certain(self, detection: Detection3D) -> bool:
        """Whether class, score and standard deviation of the position allow a motion."""
        hypothesis = detection.results[0].hypothesis
        if hypothesis.class_id != self.class_id or hypothesis.score < self.min_score:
            return False
        covariance = np.reshape(detection.results[0].pose.covariance, (6, 6))
        # Element 0 is -1 if the covariance is unknown; then the score alone decides.
        return covariance[0, 0] < 0 or np.sqrt(covariance.diagonal()[:3].max()) < self.max_std_m

    def pick(self, detection: Detection3D, grasp: Grasp) -> None:
        """Print pose and grasp in the base frame; the pose needs TF at the image's stamp."""
        header = self.detections.header
        try:
            found = self.buffer.lookup_transform(
                self.base_frame, header.frame_id, Time.from_msg(header.stamp)
            )
        except TransformException as error:
            return self.wait(str(error))
        base_from_cam = matrix_from_transform(found.transform)
        base_from_obj = base_from_cam @ transform_from_pose(detection.results[0].pose.pose)
        base_from_grip = transform_from_pose(grasp.pose)
        print(f"{detection.id} at {base_from_obj[:3, 3].round(4).tolist()} m in {self.base_frame}")
        print(
            f"grasp {grasp.name}: fingers at {base_from_grip[:3, 3].round(4).tolist()} m, "
            f"approach along {base_from_grip[:3, 2].round(3).tolist()}, {grasp.width:.3f} m wide"
        )
        self.picked.set_result(True)

    def wait(self, reason: str) -> None:
        """Log a condition that does not hold."""
        self.get_logger().info(f"not yet: {reason}")


def main() -> None:
    """Spin until an object was picked, or until Ctrl-C."""
    rclpy.init()
    node = Picker()
    with suppress(KeyboardInterrupt):
        rclpy.spin_until_future_complete(node, node.picked)
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
