"""Requests of tracking sessions for the frames of a synthetic sequence, and their true poses."""

from __future__ import annotations

import numpy as np

from sam6d_ros.apps.http.sample import png_base64

TARGETS = ["tea_box", "soup_can"]


class Clock:
    """Clock that a test moves."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


def body(sequence, index, **fields):
    frame = sequence.views[index].frame
    depth = np.rint(1e4 * frame.depth).astype(np.uint16)
    return {
        "rgb_image": png_base64(frame.rgb[..., ::-1]),
        "depth_image": png_base64(depth),
        "cam_params": {"cam_K": frame.camera.matrix.ravel().tolist(), "depth_scale": 0.1},
        "stamp_ns": frame.stamp_ns,
        **fields,
    }


def truth(sequence, index):
    return {item.class_id: item.cam_from_obj for item in sequence.views[index].ground_truth}


def known(sequence, index, *names):
    """Poses of a frame for a request, 4 mm beside the truth."""
    poses = truth(sequence, index)
    return [
        {
            "name": name,
            "rotation": poses[name][:3, :3].tolist(),
            "translation": (1e3 * poses[name][:3, 3] + [4, 0, 0]).tolist(),
        }
        for name in names or TARGETS
    ]


def ids(answer):
    return {pose["name"]: pose["instance_id"] for pose in answer["poses"]}


def errors_mm(answer, sequence, index):
    poses = truth(sequence, index)
    return {
        pose["name"]: np.linalg.norm(pose["translation"] - 1e3 * poses[pose["name"]][:3, 3])
        for pose in answer["poses"]
    }
