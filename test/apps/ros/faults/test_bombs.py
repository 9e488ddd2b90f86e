"""Small inputs that would need much memory or time: images over DDS, goals at once."""

from __future__ import annotations

import struct
import zlib

import pytest
from rclpy.action import ActionClient
from sensor_msgs.msg import CompressedImage
from support.ros.probe import RGB, scene
from support.ros.world import POSES

from sam6d_ros.action import EstimatePoses
from sam6d_ros.apps.ros.conversions.compressed import compressed_image_from_rgb
from sam6d_ros.apps.ros.node.qos import SERVICES
from sam6d_ros.runtime.admission import DEFAULT_CAPACITY

GOALS = 100


def png_bomb(width: int, height: int) -> bytes:
    """Return a PNG file of black pixels; a very large one lacks most of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    size = (1 + (width + 7) // 8) * height
    body = zlib.compress(bytes(min(size, 50_000_000)), 9)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def compressed(make_world):
    """Segmentation and pose node of a camera with compressed colour."""
    world = make_world()
    transport = {"rgb.image_transport": "compressed", "rgb.reliability": "reliable"}
    for name in ("segmentation_node", "pose_node"):
        world.start_node(name, **transport)
    world.probe.wait_ready("segmentation_node", "pose_node")
    return world


def send(world, data=None):
    """Send a frame whose colour image is compressed; or is this data."""
    rgb, depth = scene()
    frame = world.probe.messages(rgb, depth)
    image = compressed_image_from_rgb(rgb, frame[0].header, "png")
    if data is not None:
        image = CompressedImage(header=image.header, format=image.format)
        image.data.frombytes(data)
    world.publish(f"{RGB}/compressed", image)
    for publisher, message in zip(world.probe.publishers[1:], frame[1:], strict=True):
        publisher.publish(message)


def poses_come(world):
    known = len(world.probe.received[POSES])
    world.probe.wait_for(
        lambda: any(m.detections for m in world.probe.received[POSES][known:]),
        "poses",
        40.0,
        every=lambda: send(world),
    )


@pytest.mark.parametrize("size", [(16_000, 16_000), (2**31 - 1, 2**31 - 1)])
def test_a_png_bomb_is_refused_before_it_is_decoded(compressed, size):
    data = png_bomb(*size)
    assert len(data) < 200_000
    compressed.wait_for_problem(
        "segmentation_node", "states a size of", every=lambda: send(compressed, data)
    )
    assert float(compressed.probe.diagnostics("/segmentation_node")["memory_mb"]) < 1000
    poses_come(compressed)


def test_a_hundred_goals_at_once_are_each_served_or_refused(compressed):
    poses_come(compressed)
    # the default depth of 10 would lose answers at this client
    client = ActionClient(
        compressed.probe.node,
        EstimatePoses,
        "/pose_node/estimate_poses",
        goal_service_qos_profile=SERVICES,
        result_service_qos_profile=SERVICES,
    )
    compressed.probe.wait_for(client.server_is_ready, "the action server")
    answers = [client.send_goal_async(EstimatePoses.Goal()) for _ in range(GOALS)]
    feed = {"every": lambda: send(compressed)}
    compressed.probe.wait_for(lambda: all(a.done() for a in answers), "all answers", 60.0, **feed)
    results = [a.result().get_result_async() for a in answers if a.result().accepted]
    compressed.probe.wait_for(lambda: all(r.done() for r in results), "all results", 120.0, **feed)
    outcomes = [r.result().result for r in results]
    served = [o for o in outcomes if o.success]
    assert len(outcomes) == GOALS, "an abort can give the reason, a refusal cannot"
    assert len(served) >= DEFAULT_CAPACITY
    refused = {o.message for o in outcomes if not o.success}
    assert all("requests wait for /pose_node" in message for message in refused), refused
