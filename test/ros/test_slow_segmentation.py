"""A camera that sends faster than the pose node's memory outlasts the segmentation."""

import numpy as np
from ros.asking import BOTH, POSES

from sam6d_ros.apps.ros import conversions
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
    probe, segment = asking.probe, asking.hold("segment")
    probe.start_double(*BOTH, parameters={"frame_store_mb": 8})
    first = large_frame(probe.now_ns())
    probe.wait_for(segment.reached, "the segmentation", every=lambda: probe.send(first))
    probe.wait_for(
        lambda: asking.received_by("pose_node") > FRAMES_BEYOND_THE_MEMORY,
        "more frames than the memory holds",
        every=lambda: probe.send(large_frame(probe.now_ns())),
    )
    segment.release()
    probe.wait_for(lambda: probe.received[POSES], "the poses of the first frame")
    message = probe.received[POSES][0]
    assert message.header == first[0].header
    assert [found.id for found in message.detections] == ["red_box_0"]
