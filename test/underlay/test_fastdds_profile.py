"""The shipped Fast DDS profile carries what the default loses: best-effort camera images."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

pytestmark = pytest.mark.slow

PUBLISHER = Path(__file__).parents[1] / "support/image_publisher.py"
SENT = 45


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1920, 1080)])
def test_best_effort_images_arrive_between_processes(ros, width: int, height: int) -> None:
    assert Path(os.environ["FASTDDS_DEFAULT_PROFILES_FILE"]).is_file()
    received = []
    ros.node("image_subscriber").create_subscription(
        Image, "image", lambda m: received.append((m.width, m.data[-1])), qos_profile_sensor_data
    )
    command = [sys.executable, str(PUBLISHER), str(SENT), str(width), str(height)]
    child = subprocess.Popen(command, start_new_session=True)
    try:
        # With the default transports at most a few of them arrive, so this is a clear line.
        ros.wait_for(lambda: len(received) >= 0.8 * SENT, "80 % of the images")
    finally:
        os.killpg(child.pid, signal.SIGINT)
        child.wait(timeout=20)
    assert set(received) == {(width, 7)}
