"""Camera topics of bags: compressed alone, intrinsics once and late."""

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from support.bag_maker import BEST_EFFORT, DEPTH, KINDS, RGB, camera_messages, stamp_ns, write_bag
from support.ros.probe import INFO, scene

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.bags.definitions import type_name_of
from sam6d_ros.apps.ros.bags.frames import FrameSource, first_frame
from sam6d_ros.apps.ros.bags.labelling import BagRecording
from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.apps.ros.bags.writer import BagWriter
from sam6d_ros.frames.bags.topics import camera_topics

COLOUR, ALIGNED = "/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw"
NAMES = {RGB: f"{COLOUR}/compressed", INFO: "/camera/color/camera_info"}


def packed(index, depth_kind):
    """The messages of a frame as a driver's compressed topics have them."""
    plain = camera_messages(index)
    rgb, depth = scene([(255, 0, 0), (0, 255, 0)])
    header = plain[0].header
    colour = conversions.compressed_image_from_rgb(rgb, header, "jpeg")
    if depth_kind == "compressedDepth":
        return [colour, conversions.compressed_depth_from_metres(depth, header, "16UC1"), plain[2]]
    png = cv2.imencode(".png", np.rint(1000 * depth).astype(np.uint16))[1].tobytes()
    message = CompressedImage(header=header, format="16UC1; png compressed ", data=png)
    return [colour, message, plain[2]]


@pytest.mark.parametrize("depth_kind", ["compressedDepth", "compressed"])
def test_a_bag_with_compressed_topics_alone_is_read(tmp_path, depth_kind):
    names = {**NAMES, DEPTH: f"{ALIGNED}/{depth_kind}"}
    kinds = {RGB: CompressedImage, DEPTH: CompressedImage}
    frames = [packed(index, depth_kind) for index in range(2)]
    path = write_bag(tmp_path / "bag", frames, names=names, kinds=kinds)
    with BagReader(path) as bag:
        topics = camera_topics(bag, None, None, None)
        assert [topic.name for topic in topics.all()] == [names[topic] for topic in KINDS]
        frame = first_frame(bag, topics, 0.02)
    np.testing.assert_allclose(frame.depth, scene([(255, 0, 0), (0, 255, 0)])[1], atol=1e-3)


def test_intrinsics_that_come_once_at_the_end_serve_all_images(tmp_path):
    with BagWriter(tmp_path / "bag", "mcap") as writer:
        for topic, kind in KINDS.items():
            writer.add_topic(topic, type_name_of(kind), [BEST_EFFORT])
        for index in range(5):
            for topic, message in list(zip(KINDS, camera_messages(index), strict=True))[:2]:
                writer.write(topic, stamp_ns(index), message)
        writer.write(INFO, stamp_ns(9), camera_messages(9)[2])
    tasks = BagRecording(tmp_path / "bag").tasks(lambda _: False, tmp_path / "scene")
    assert len([*tasks]) == 5, "to be labelled"
    with BagReader(tmp_path / "bag") as bag:
        topics = camera_topics(bag, None, None, None)
        source = FrameSource(topics, 0.02)
        source.look_ahead(bag)
        sets = [found for recorded in bag.messages(topics.all()) for found in source.feed(recorded)]
    assert [conversions.stamp_ns_of(s.messages.rgb.header) for s in sets] == [
        stamp_ns(index) for index in range(5)
    ]
    assert source.problem() == ""
