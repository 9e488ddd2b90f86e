"""Child process of test_fastdds_profile: publishes best-effort images at 30 Hz."""

import sys
import time

import numpy as np
import rclpy
from cv_bridge import CvBridge
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

RATE_HZ = 30.0


def main(count: int, width: int, height: int) -> None:
    rclpy.init()
    node = rclpy.create_node("image_publisher")
    publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
    message = CvBridge().cv2_to_imgmsg(np.full((height, width, 3), 7, np.uint8), "rgb8")
    while not publisher.get_subscription_count():
        rclpy.spin_once(node, timeout_sec=0.05)
    for _ in range(count):
        publisher.publish(message)
        time.sleep(1.0 / RATE_HZ)  # the rate of a camera, not a wait for something
    while publisher.get_subscription_count():  # until the test has seen enough
        rclpy.spin_once(node, timeout_sec=0.05)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
