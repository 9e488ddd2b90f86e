"""Damaged messages for every reader of them: an error of ours, or a result; the same each run."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sensor_msgs.msg import RegionOfInterest
from support.ros.odd_messages import odd
from support.ros.probe import CAMERA, scene

from sam6d_ros.action import EstimatePoses
from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions.compressed import (
    compressed_depth_from_metres,
    compressed_image_from_rgb,
)
from sam6d_ros.apps.ros.objects.entries import entry_from
from sam6d_ros.apps.ros.objects.known_poses import known_poses
from sam6d_ros.apps.ros.pose.goal import Goal
from sam6d_ros.errors import Sam6dError
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.status import HostStatus
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.srv import AddObject
from sam6d_ros.types import Detection, Detections, PoseEstimate, PoseEstimates

ROUNDS = 300
HEADER = conversions.header_from(10**18, "camera")
RGB, DEPTH = scene()
INFO = conversions.camera_info_from_intrinsics(CAMERA, HEADER)


def survives(read, message, seed):
    """Read many damaged copies; each ends in a result or in a short error of ours."""
    chance, lengths, results = random.Random(seed), [], 0
    for number in range(ROUNDS):
        changed = odd(message, chance)
        try:
            read(changed)
        except Sam6dError as error:
            lengths.append(len(str(error)))
        except Exception as error:
            raise AssertionError(f"round {number}: {str(changed)[:1500]}") from error
        else:
            results += 1
    assert results
    assert lengths
    assert max(lengths) < 3000


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_raw_images(encoding):
    rgb = conversions.image_from_rgb(RGB, HEADER)
    depth = conversions.depth_image_from_metres(DEPTH, HEADER, encoding)
    survives(lambda m: conversions.frame_from_messages(m, depth, INFO), rgb, 1)
    survives(lambda m: conversions.frame_from_messages(rgb, m, INFO), depth, 2)


def test_camera_infos():
    rgb = conversions.image_from_rgb(RGB, HEADER)
    depth = conversions.depth_image_from_metres(DEPTH, HEADER)
    survives(lambda m: conversions.frame_from_messages(rgb, depth, m), INFO, 3)


@pytest.mark.parametrize("codec", ["jpeg", "png"])
def test_compressed_colour(codec):
    depth = conversions.depth_image_from_metres(DEPTH, HEADER)
    message = compressed_image_from_rgb(RGB, HEADER, codec)
    survives(lambda m: conversions.frame_from_messages(m, depth, INFO), message, 4)


@pytest.mark.parametrize("codec", ["png", "rvl"])
@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_compressed_depth(encoding, codec):
    rgb = conversions.image_from_rgb(RGB, HEADER)
    message = compressed_depth_from_metres(DEPTH, HEADER, encoding, codec)
    survives(lambda m: conversions.frame_from_messages(rgb, m, INFO), message, 5)


def test_masks():
    mask = np.zeros(DEPTH.shape, bool)
    mask[20:30, 10:25] = True
    found = Detections((Detection("red_box", 0.5, mask, "red_box_0", np.eye(4)[None]),))
    message = conversions.masks_from_detections(found, HEADER, DEPTH.shape)
    survives(lambda m: conversions.detections_from_masks(m, DEPTH.shape, 100), message, 6)


def test_detections():
    cam_from_obj = se3.exp([0, 0, 1, 0.1, 0.2, 0.3])
    pose = PoseEstimate("red_box", 0.7, cam_from_obj, instance_id="red_box_0")
    poses = PoseEstimates((pose,), 10**18, "camera")
    message = conversions.detection_3d_array(
        poses, HEADER, {"red_box": box_model((0.2, 0.1, 0.05))}
    )
    status = HostStatus("node")
    survives(lambda m: known_poses(m, {"red_box"}, status), message, 7)


def test_goals():
    wanted = EstimatePoses.Goal(class_ids=["red_box"], frames=3, roi=RegionOfInterest(width=3))
    wanted.roi.height = 4
    survives(lambda m: Goal(m, lambda _: None).validate(), wanted, 8)


def test_objects_to_add():
    options = "min_score: 0.5\nsymmetries: {discrete: []}\n"
    wanted = AddObject.Request(name="a", mesh="/a/b.ply", unit="m", options=options)
    survives(entry_from, wanted, 9)
