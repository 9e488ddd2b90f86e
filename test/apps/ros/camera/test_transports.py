"""Compressed camera topics, as image_transport publishes them, through the nodes."""

import functools
import json

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Bool
from support.ros.nodes import start
from support.ros.probe import CAMERA, DEPTH, RGB, scene

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.node.qos import LATCHED

POSES, MASKS = "/pose_node/detections", "/segmentation_node/masks"


def compressed_camera(probe):
    """Publishers of a camera's compressed topics, and what sends a frame on them."""
    rgb_out = probe.node.create_publisher(CompressedImage, f"{RGB}/compressed", 5)
    depth_out = probe.node.create_publisher(CompressedImage, f"{DEPTH}/compressedDepth", 5)

    def send(plain):
        rgb, depth = scene([(255, 0, 0), (0, 255, 0)])
        header = plain[0].header
        rgb_out.publish(conversions.compressed_image_from_rgb(rgb, header, "png"))
        depth_out.publish(conversions.compressed_depth_from_metres(depth, header, codec="rvl"))
        probe.publishers[2].publish(plain[2])

    return send


def test_compressed_images_give_the_same_poses_as_plain_ones(probe):
    """One node of the pair takes plain images, the other compressed ones of the same frame."""
    probe.listen(POSES, "/diagnostics")
    send = compressed_camera(probe)
    compressed = {"rgb.image_transport": "compressed", "depth.image_transport": "compressedDepth"}
    start(probe, "segmentation_node")
    start(probe, "pose_node", compressed)
    probe.wait_ready("segmentation_node", "pose_node")
    sent = probe.messages(*scene([(255, 0, 0), (0, 255, 0)]))
    probe.wait_for(
        lambda: probe.received[POSES],
        "poses",
        every=lambda: (send(sent), probe.send(sent)),
    )
    assert [d.id for d in probe.received[POSES][0].detections] == ["red_box_0", "green_box_0"]


def test_damaged_compressed_depth_is_reported_and_the_node_recovers(probe):
    probe.listen(MASKS, "/diagnostics")
    depth_out = probe.node.create_publisher(CompressedImage, f"{DEPTH}/compressedDepth", 5)
    start(probe, "segmentation_node", {"depth.image_transport": "compressedDepth"})
    probe.wait_ready("segmentation_node")

    def send(keep=None):
        rgb, depth = scene()
        plain = probe.messages(rgb, depth)
        packed = conversions.compressed_depth_from_metres(depth, plain[0].header, "32FC1")
        packed.data = packed.data[:keep]
        depth_out.publish(packed)
        probe.send(plain)

    def error():
        return probe.diagnostics("/segmentation_node").get("last_error", "")

    probe.wait_for(lambda: "cannot be decoded" in error(), "the report", every=lambda: send(50))
    assert error().startswith("InvalidFrame: compressed image with format '32FC1; compressedDepth")
    probe.wait_for(lambda: probe.received[MASKS] and not error(), "masks", every=send)


def write_frame(folder, rgb, depth):
    """One frame as the replay node reads it."""
    for name in ("rgb", "depth"):
        (folder / name).mkdir()
    cv2.imwrite(str(folder / "rgb/000001.png"), rgb[..., ::-1])
    cv2.imwrite(str(folder / "depth/000001.png"), (1000 * depth).astype(np.uint16))
    camera = {"cam_K": CAMERA.matrix.ravel().tolist(), "depth_scale": 1.0}
    (folder / "scene_camera.json").write_text(json.dumps({"1": camera}))


def test_the_replay_node_says_what_it_waits_for(probe, tmp_path):
    write_frame(tmp_path, *scene())
    ready = probe.node.create_publisher(Bool, "/there/ready", LATCHED)
    node = probe.children.start(
        "replay_node", {"path": tmp_path, "wait_for": ["/there/ready", "/away/ready"]}
    )
    both = "waiting for /away/ready, /there/ready to be true"
    probe.wait_for(lambda: both in node.output(), "the names of both")
    ready.publish(Bool(data=True))
    probe.wait_for(lambda: "waiting for /away/ready to be true" in node.output(), "the other's")


def test_the_replay_node_sends_compressed_images(probe, tmp_path):
    rgb, depth = scene([(255, 0, 0), (0, 255, 0)])
    write_frame(tmp_path, rgb, depth)
    topics = {
        "/color/image_raw/compressed": CompressedImage,
        "/aligned_depth_to_color/image_raw/compressedDepth": CompressedImage,
        "/color/camera_info": CameraInfo,
    }
    received = {}
    for topic, kind in topics.items():
        note = functools.partial(received.__setitem__, topic)
        probe.node.create_subscription(kind, topic, note, 5)
    compression = {"rgb_compression": "png", "depth_compression": "rvl"}
    probe.children.start("replay_node", {"path": tmp_path, **compression})
    probe.wait_for(lambda: len(received) == 3, "the three messages")
    frame = conversions.frame_from_messages(*(received[topic] for topic in topics))
    np.testing.assert_array_equal(frame.rgb, rgb)
    np.testing.assert_allclose(frame.depth, depth, atol=1e-6)
