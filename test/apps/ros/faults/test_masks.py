"""Mask arrays that are too large, or lie about their sizes."""

import numpy as np
import pytest
from sensor_msgs.msg import RegionOfInterest
from support.ros.probe import scene
from support.ros.world import MASKS, POSES

from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.msg import InstanceMask, InstanceMaskArray


def masks_of(frame, count=1, height=60, width=80):
    """Masks of the red box, as many as wanted."""
    crop = np.packbits(np.ones(121, bool)).tobytes()
    message = InstanceMaskArray(header=frame[0].header, height=height, width=width)
    for number in range(count):
        region = RegionOfInterest(x_offset=10, y_offset=20, width=11, height=11)
        one = InstanceMask(class_id="red_box", id=f"red_{number}", score=0.5, roi=region)
        one.mask.frombytes(crop)
        message.instances.append(one)
    return message


@pytest.fixture(scope="module")
def alone(make_world):
    """A pose node, whose masks the test sends."""
    world = make_world()
    world.start_node("pose_node", max_masks=7)
    world.probe.wait_ready("pose_node")
    return world


def test_an_array_of_two_thousand_masks_is_cut_and_the_poses_come(alone):
    frame = alone.probe.messages(*scene())
    masks, stamp = masks_of(frame, 2000), stamp_ns_of(frame[0].header)

    def send():
        alone.probe.send(frame)
        alone.publish(MASKS, masks)

    def answers():
        return [m for m in alone.probe.received[POSES] if stamp_ns_of(m.header) == stamp]

    alone.probe.wait_for(answers, "the poses", every=send)
    assert len(answers()[0].detections) <= 7
    assert "2000 masks came of one image; the 7 of the best scores are used" in (
        alone.nodes["pose_node"].output()
    )


@pytest.mark.parametrize("size", [(50_000, 50_000), (2**32 - 1, 2**32 - 1), (60, 81), (0, 0)])
def test_masks_of_an_image_of_another_size_are_refused_before_memory_is_taken(alone, size):
    frame = alone.probe.messages(*scene())

    def send():
        alone.probe.send(frame)
        alone.publish(MASKS, masks_of(frame, 3, *size))

    text = f"masks are of a {size[1]}×{size[0]} image but the frame has 80×60 pixels"
    alone.wait_for_problem("pose_node", text, every=send)
    assert float(alone.probe.diagnostics("/pose_node")["memory_mb"]) < 1000


def test_names_of_any_length_and_number_do_not_fill_the_log(alone):
    frame = alone.probe.messages(*scene())
    before, count = len(alone.nodes["pose_node"].output()), len(alone.probe.received[POSES])

    def send():
        alone.probe.send(frame)
        masks = masks_of(frame, 300)
        for number, one in enumerate(masks.instances):
            one.class_id = "x" * (1_000_000 if number == 0 else 1000) + str(number)
            one.score = 1.0 - number / 1000
        alone.publish(MASKS, masks)

    alone.probe.wait_for(
        lambda: len(alone.probe.received[POSES]) > count + 3, "empty results", every=send
    )
    assert len(alone.nodes["pose_node"].output()) - before < 20_000

    def reason():
        return alone.probe.diagnostics("/pose_node").get("empty_result_reason", "")

    alone.probe.wait_for(lambda: "not loaded here" in reason(), "the reason", every=send)
    shown = alone.probe.diagnostics("/pose_node")
    assert max(len(str(value)) for value in shown.values()) < 3000


def test_poses_come_after_all_of_it(alone):
    frame = alone.probe.messages(*scene())
    stamp = stamp_ns_of(frame[0].header)

    def send():
        alone.probe.send(frame)
        alone.publish(MASKS, masks_of(frame))

    alone.probe.wait_for(
        lambda: any(
            stamp_ns_of(m.header) == stamp and m.detections for m in alone.probe.received[POSES]
        ),
        "poses",
        every=send,
    )
