"""A camera that sends faster than the pose node's memory outlasts the segmentation."""

import numpy as np
from support.ros.asking import BOTH, POSES

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.geometry.camera import CameraIntrinsics

CAMERA = CameraIntrinsics(500.0, 500.0, 319.5, 239.5, 640, 480)
FRAMES_BEYOND_THE_MEMORY = 12  # 8 MB hold five frames of this size


def large_frame(stamp_ns):
    rgb = np.full((480, 640, 3), 90, np.uint8)
    rgb[200:280, 280:360] = (255, 0, 0)
    header = conversions.header_from(stamp_ns, "test_optical_frame")
    depth = np.ones((480, 640), np.float32)
    return [
        conversions.image_from_rgb(rgb, header),
        conversions.depth_image_from_metres(depth, header),
        conversions.camera_info_from_intrinsics(CAMERA, header),
    ]


def test_a_frame_waits_for_its_masks_however_long_they_take(asking):
    probe, sent = asking.probe, []
    probe.start_double(*BOTH, parameters={"frame_store_mb": 8})

    def send():
        sent.append(probe.now_ns())
        probe.send(large_frame(sent[-1]))

    probe.wait_for(lambda: probe.received[POSES], "poses: all are connected", every=send)
    segment = asking.hold("segment")
    probe.wait_for(segment.reached, "the segmentation", every=send)
    early, received = set(sent), asking.received_by("pose_node")
    probe.wait_for(
        lambda: asking.received_by("pose_node") > received + FRAMES_BEYOND_THE_MEMORY,
        "more frames than the memory holds",
        every=send,
    )
    known = len(probe.received[POSES])
    segment.release()
    probe.wait_for(lambda: len(probe.received[POSES]) > known, "the poses of the held frame")
    message = probe.received[POSES][known]
    assert stamp_ns_of(message.header) in early
    assert [found.id for found in message.detections] == ["red_box_0"]
