"""Nodes around an engine whose stages are simple and fast, for tests of the nodes themselves.

    python engine_double.py segmentation_node|pose_node|pipeline --ros-args …

The objects are a red and a green box when the objects file is called "unused", else those of the
file. "Seen" is every pixel of an object's colour; the "pose" is the mean of the seen points, turned
by what the object's name fixes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module

import numpy as np

from sam6d_ros.apps.ros.node.graph import module_of
from sam6d_ros.cad.objects import read_objects_file
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import back_project
from sam6d_ros.pipeline import PoseEstimation, Segmentation
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectChange, apply_change
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.types import Candidates, Detection, Detections, InstanceCandidates, Proposals

COLOURS = {"red_box": (255, 0, 0), "green_box": (0, 255, 0)}
TURNS = {"red_box": [0.1, 0.2, 0.3], "green_box": [-0.4, 0.0, 0.5]}
NO_TURN = [0.0, 0.0, 0.0]
OBJ_FROM_BOX = se3.exp([0.01, 0.02, 0.03, 0, 0, np.pi / 2])
BOX_SIZE = (0.2, 0.1, 0.05)
NOT_IN_VIEW = "no pixel has the colour of an object"


def models():
    """A red and a green box."""
    base = replace(box_model(BOX_SIZE), obj_from_box=OBJ_FROM_BOX)
    return [
        replace(base, name=name, colors=np.full((8, 3), colour, np.uint8))
        for name, colour in COLOURS.items()
    ]


class OneProposal:
    def propose(self, scene):
        frame = scene.frame
        return Proposals(np.ones((1, *frame.depth.shape), bool), np.ones(1, np.float32))


class ColourScorer:
    def prepare(self, model):
        """Nothing to prepare."""

    def score(self, scene, proposals, objects, limits):
        frame = scene.frame
        masks = {m.name: (frame.rgb == m.colors[0]).all(-1) for m in objects}
        found = tuple(Detection(n, 0.5, mask) for n, mask in masks.items() if mask.any())
        return Detections(found, "" if found else NOT_IN_VIEW)


class CentroidEstimator:
    def prepare(self, model):
        """Nothing to prepare."""

    def estimate(self, scene, detections, objects):
        frame = scene.frame
        points = back_project(frame.camera, frame.depth).astype(float)
        items = []
        for found in detections.items:
            centre = points[found.mask & (frame.depth > 0)].mean(0)
            pose = se3.exp([*centre, *TURNS.get(found.class_id, NO_TURN)])
            name, score = found.class_id, np.array([0.75])
            items.append(InstanceCandidates(name, found.instance_id, pose[None], score, found.mask))
        return Candidates(tuple(items))

    def refine(self, scene, candidates, objects):
        return candidates.best(scene.frame)


def build(spec):
    stage = CentroidEstimator()
    engine = Engine(
        spec.config,
        role=spec.role,
        backend="geometric",
        segmentation=Segmentation(OneProposal(), ColourScorer()),
        pose_estimation=PoseEstimation(stage, stage),
    )
    unused = spec.objects_file.name == "unused"
    objects = models() if unused else read_objects_file(spec.objects_file, spec.resolve_package)
    apply_change(engine, ObjectChange.only(objects))
    return engine


def main(node, args):
    return import_module(module_of(node)).main(args, build)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
