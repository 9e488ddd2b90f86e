"""Stages that know the answer, for tests of what is built around stages."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.types import (
    Candidates,
    Detection,
    Detections,
    InstanceCandidates,
    PoseEstimates,
    Proposals,
    Scene,
)

AHEAD = np.eye(4)
AHEAD[2, 3] = 1.0


class OracleStages:
    """All four stages in one: every object is found at its known pose, else 1 m ahead.

    Args:
        poses: name → cam_from_obj; objects that map to None are not found.
    """

    def __init__(self, poses: Mapping[str, NDArray | None] | None = None) -> None:
        self.poses = poses or {}
        self.scores: dict[str, float] = {}  # by name; 0.9 for the others
        self.prepared: list[str] = []
        self.limits: list[dict[str, int]] = []
        self.frames: list[tuple[int, int]] = []
        self.asked: list[list[str]] = []
        self.failure: Exception | None = None

    def prepare(self, model) -> None:
        self.prepared.append(model.name)

    def propose(self, scene: Scene) -> Proposals:
        frame = scene.frame
        if self.failure:
            raise self.failure
        self.frames.append(frame.depth.shape)
        return Proposals((frame.depth > 0)[None], np.ones(1, np.float32))

    def score(self, scene, proposals, objects, limits) -> Detections:
        self.limits.append(dict(limits))
        self.asked.append([model.name for model in objects])
        found = []
        for model in objects:
            pose = self.poses.get(model.name, AHEAD)
            if pose is not None:
                mask = model.scene.render(scene.frame.camera, pose).mask
                score = self.scores.get(model.name, 0.9)
                found.append(Detection(model.name, score, mask))
        return Detections(tuple(found), "" if found else "no region looks like an object")

    def estimate(self, scene, detections, objects) -> Candidates:
        items = []
        for d in detections.items:
            known = self.poses.get(d.class_id)
            pose = (AHEAD if known is None else known)[None]
            score = np.array([d.score])
            parts = {"depth": 0.9}
            items.append(InstanceCandidates(d.class_id, d.instance_id, pose, score, d.mask, parts))
        return Candidates(tuple(items))

    def refine(self, scene, candidates, objects) -> PoseEstimates:
        return candidates.best(scene.frame)
