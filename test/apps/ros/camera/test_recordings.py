"""Camera topics of recordings and of some drivers: intrinsics once, time that goes back."""

import itertools

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage
from support.ros.eyes import Eyes
from support.ros.nodes import start
from support.ros.probe import DEPTH, scene

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.camera.intrinsics import Intrinsics
from sam6d_ros.apps.ros.node.qos import LATCHED

S = 1_000_000_000


def info(stamp_ns, focal=100.0):
    message = CameraInfo(header=conversions.header_from(stamp_ns, "cam"))
    message.k[0] = focal
    return message


def paced(send):
    """A function that sends at each tenth call: one callback is done between two calls."""
    calls = itertools.count()

    def call():
        step, rest = divmod(next(calls), 10)
        if not rest:
            send(step)

    return call


def send_images(eyes, stamp_ns):
    for publisher in eyes.publishers[:2]:
        eyes.send_one(publisher, stamp_ns)


def test_one_camera_info_is_enough(ros):
    eyes = Eyes(ros)
    eyes.open()
    ros.wait_for(lambda: eyes.hearers() == [1, 1, 1], "the subscriptions")
    eyes.send_one(eyes.publishers[2], 0)
    send = paced(lambda step: send_images(eyes, 7 * S + step * S // 20))
    ros.wait_for(lambda: send() or eyes.frames, "a frame")


def test_images_before_the_first_camera_info_wait_for_it(ros):
    eyes = Eyes(ros)
    eyes.open()
    ros.wait_for(lambda: eyes.hearers() == [1, 1, 1], "the subscriptions")
    for number in (1, 2):
        send_images(eyes, number * S)
    ros.wait_for(lambda: eyes.status.stats.snapshot().received == 0, "nothing yet")
    send = paced(lambda _: eyes.send_one(eyes.publishers[2], 0))
    ros.wait_for(lambda: send() or eyes.frames, "the newest of the frames")
    assert conversions.stamp_ns_of(eyes.frames[0].rgb.header) in (S, 2 * S)


def test_a_latched_camera_info_of_before_the_subscription_is_heard(ros):
    eyes = Eyes(ros, "-r", "~/camera_info:=/latched/info")
    driver = ros.node("driver").create_publisher(CameraInfo, "/latched/info", LATCHED)
    driver.publish(info(0))
    eyes.open()
    send = paced(lambda step: send_images(eyes, S + step * S // 20))
    ros.wait_for(lambda: send() or eyes.frames, "a frame")


def pair(stamp_ns):
    """Colour and depth of which only the headers count."""
    return info(stamp_ns), info(stamp_ns)


def focals(complete):
    """(stamp of the image, focal length) of each complete set."""
    return [(conversions.stamp_ns_of(rgb.header), k.k[0]) for rgb, _, k in complete]


def test_intrinsics_are_those_of_the_stamp_else_the_newest():
    intrinsics = Intrinsics()
    assert intrinsics.complete(*pair(1)) == []
    assert focals(intrinsics.add(info(1, 100.0))) == [(1, 100.0)]
    for stamp_ns, focal in ((2, 200.0), (3, 300.0)):
        assert intrinsics.add(info(stamp_ns, focal)) == []
    assert focals(intrinsics.complete(*pair(2))) == [(2, 200.0)]


def test_images_wait_for_intrinsics_of_their_own_stamp_until_the_next_image():
    """Where the stamps matched before: one message may be lost, or the focal length change."""
    intrinsics = Intrinsics()
    intrinsics.add(info(1, 100.0))
    assert focals(intrinsics.complete(*pair(1))) == [(1, 100.0)]
    assert intrinsics.complete(*pair(2)) == []
    assert focals(intrinsics.add(info(2, 200.0))) == [(2, 200.0)]
    assert intrinsics.complete(*pair(3)) == []
    assert focals(intrinsics.complete(*pair(4))) == [(3, 200.0)], "its own was lost"
    assert focals(intrinsics.add(info(5, 500.0))) == [(4, 500.0)], "none will come"
    assert intrinsics.complete(*pair(6)) == []
    assert focals(intrinsics.flush()) == [(6, 500.0)]
    assert intrinsics.flush() == []


def test_images_do_not_wait_where_no_stamp_matches():
    intrinsics = Intrinsics()
    intrinsics.add(info(7, 100.0))
    assert focals(intrinsics.complete(*pair(10))) == [(10, 100.0)]
    assert focals(intrinsics.complete(*pair(20))) == [(20, 100.0)]


@pytest.mark.parametrize("sync", ["approximate", "exact"])
def test_a_bag_that_begins_again_is_paired_from_its_first_frame_on(ros, sync):
    """Without a wait for ``pair_timeout_s``, though the queues are full of its end."""
    options = ("-p", "pair_timeout_s:=3600.0", "-p", "queue_size:=3", "-p", f"sync:={sync}")
    eyes = Eyes(ros, *options)
    eyes.open()
    first = paced(lambda _: eyes.send(500 * S))
    ros.wait_for(lambda: first() or eyes.frames, "a first pair")
    for number in range(10):  # depth is lost at the end of the bag
        eyes.send_one(eyes.publishers[0], 501 * S + number * S // 30)
        ros.executor.spin_once(timeout_sec=0.1)
    eyes.frames.clear()
    again = paced(lambda step: eyes.send(10 * S + step * S // 30))
    ros.wait_for(lambda: again() or eyes.frames, "pairs of the second run")


def test_depth_as_png_of_16_bits_on_compressed_is_taken(probe):
    masks = "/segmentation_node/masks"
    probe.listen(masks, "/diagnostics")
    packed = probe.node.create_publisher(CompressedImage, f"{DEPTH}/compressed", 5)
    start(probe, "segmentation_node", {"depth.image_transport": "compressed"})
    probe.wait_ready("segmentation_node")

    def send():
        rgb, depth = scene()
        messages = probe.messages(rgb, depth)
        png = cv2.imencode(".png", np.rint(1000 * depth).astype(np.uint16))[1]
        message = CompressedImage(header=messages[0].header, format="16UC1; png compressed ")
        message.data = png.tobytes()
        packed.publish(message)
        probe.publishers[0].publish(messages[0])
        probe.publishers[2].publish(messages[2])

    probe.wait_for(lambda: any(m.instances for m in probe.received[masks]), "masks", every=send)
