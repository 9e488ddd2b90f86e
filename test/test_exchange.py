"""Poses as plain values for JSON."""

import numpy as np

from sam6d_ros.exchange import pose_as_json
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.types import Alternative, PoseEstimate


def test_the_alternatives_of_a_pose_are_listed_with_their_probabilities():
    turned = se3.exp([0.0, 0.0, 0.8, 0.0, 0.0, np.pi])
    pose = PoseEstimate(
        "box",
        0.6,
        se3.exp([0.0, 0.0, 0.8, 0.0, 0.0, 0.0]),
        alternatives=(Alternative("box", turned, 0.31), Alternative("carton", turned, 0.07)),
        visible=0.83,
    )
    values = pose_as_json(pose, box_model((0.2, 0.1, 0.05)))
    assert values["visible"] == 0.83
    assert [(item["name"], item["probability"]) for item in values["alternatives"]] == [
        ("box", 0.31),
        ("carton", 0.07),
    ]
    assert np.allclose(values["alternatives"][0]["R"], turned[:3, :3])
    assert np.allclose(values["alternatives"][0]["t"], turned[:3, 3])
