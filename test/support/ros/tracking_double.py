"""A tracking node whose tracker is simple and fast, around the objects of ``engine_double``.

    python tracking_double.py --ros-args …

"Seen" are the pixels of the object's colour near the place where it is expected.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from engine_double import models  # beside this file, which runs as a program

from sam6d_ros.geometry.camera import back_project
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectChange, apply_change
from sam6d_ros.types import PoseEstimates

REACH_M = 0.12  # a square of ``scene`` is 0.11 m wide: farther, and it would be its neighbour
MIN_PIXELS = 30


class NearbyColour:
    def prepare(self, model):
        """Nothing to prepare."""

    def track(self, scene, poses, objects):
        frame = scene.frame
        colours = {model.name: model.colors[0] for model in objects}
        points = back_project(frame.camera, frame.depth).astype(float)
        items = []
        for pose in poses.items:
            coloured = (frame.rgb == colours[pose.class_id]).all(-1) & (frame.depth > 0)
            near = np.linalg.norm(points - pose.cam_from_obj[:3, 3], axis=-1) < REACH_M
            if (coloured & near).sum() >= MIN_PIXELS:
                moved = pose.cam_from_obj.copy()
                moved[:3, 3] = points[coloured & near].mean(0)
                items.append(replace(pose, cam_from_obj=moved, score=0.8))
        return PoseEstimates(tuple(items), frame.stamp_ns, frame.frame_id)


def build(spec):
    engine = Engine(
        spec.config, spec.cache_dir, spec.role, backend="geometric", tracker=NearbyColour()
    )
    apply_change(engine, ObjectChange.only(models()))
    return engine


def main(args):
    from sam6d_ros.apps.ros import tracking_node

    return tracking_node.main(args, build)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
