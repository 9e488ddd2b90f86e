"""Compressed camera topics, as image_transport publishes them, through the nodes."""

import functools
import json

import cv2
import numpy as np
from ros.probe import CAMERA, DEPTH, RGB, scene
from ros.test_inputs import start
from sensor_msgs.msg import CameraInfo, CompressedImage

from sam6d_ros.apps.ros import conversions

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


def test_the_replay_node_sends_compressed_images(probe, tmp_path):
    rgb, depth = scene([(255, 0, 0), (0, 255, 0)])
    for name in ("rgb", "depth"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "rgb/000001.png"), rgb[..., ::-1])
    cv2.imwrite(str(tmp_path / "depth/000001.png"), (1000 * depth).astype(np.uint16))
    camera = {"cam_K": CAMERA.matrix.ravel().tolist(), "depth_scale": 1.0}
    (tmp_path / "scene_camera.json").write_text(json.dumps({"1": camera}))
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
