"""The nodes around stages that take no time: what is left is the way of the messages.

python -m benchmarks.graph.idle_nodes segmentation_node|pose_node|pipeline --ros-args …
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import numpy as np

from sam6d_ros.apps.ros.node.graph import module_of
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.pipeline import PoseEstimation, Segmentation
from sam6d_ros.runtime.build import EngineSpec
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectChange, apply_change
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.types import (
    Candidates,
    Detection,
    Detections,
    InstanceCandidates,
    PoseEstimates,
    Proposals,
    Scene,
)

POSE = se3.exp([0, 0, 1.0, 0.1, 0.2, 0.3])


class IdleStages:
    """One instance in the middle quarter of every image, at one pose."""

    def prepare(self, model: ObjectModel) -> None:
        """Nothing to prepare."""

    def propose(self, scene: Scene) -> Proposals:
        """One region: the whole image."""
        return Proposals(np.ones((1, *scene.frame.depth.shape), bool), np.ones(1, np.float32))

    def score(
        self,
        scene: Scene,
        proposals: Proposals,
        objects: Sequence[ObjectModel],
        limits: Mapping[str, int],
    ) -> Detections:
        """The middle quarter shows the first object."""
        height, width = scene.frame.depth.shape
        mask = np.zeros((height, width), bool)
        mask[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = True
        return Detections((Detection(objects[0].name, 1.0, mask),))

    def estimate(
        self, scene: Scene, detections: Detections, objects: Sequence[ObjectModel]
    ) -> Candidates:
        """The pose."""
        items = tuple(
            InstanceCandidates(d.class_id, d.instance_id, POSE[None], np.ones(1), d.mask)
            for d in detections.items
        )
        return Candidates(items)

    def refine(
        self, scene: Scene, candidates: Candidates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """The candidates as they are."""
        return candidates.best(scene.frame)


def build(spec: EngineSpec) -> Engine:
    """Return an engine with one box, whatever the objects file names."""
    stages = IdleStages()
    engine = Engine(
        spec.config,
        role=spec.role,
        segmentation=Segmentation(stages, stages),
        pose_estimation=PoseEstimation(stages, stages),
    )
    apply_change(engine, ObjectChange.add(box_model()))
    return engine


def main(node: str, args: Sequence[str]) -> int:
    """Run one of the executables."""
    code: int = import_module(module_of(node)).main(args, build)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
