"""OpenCV's surface matching: point pair features (Drost 2010) and ICP.

Usage follows opencv_contrib/modules/surface_matching/samples/ppf_load_match.py; the sampling is as
fine as its quadratic matching allows at 10 to 30 seconds per object. Point pair voting is, to our
knowledge, covered by patents in some countries.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.common import model_cloud, nearest_rigid, scene_cloud
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import Frame

SAMPLING = 0.06  # model: fraction of the diameter; training time explodes below
SCENE_SAMPLING = 0.0125  # scene: fraction of its extent (the library's unit), some 15 mm
SCENE_STEP = 1 / 20  # of these points, every twentieth votes
NORMAL_NEIGHBORS = 12
CANDIDATES = 10  # the best ones by votes are refined
ICP_ITERATIONS = 100


class PpfMatcher:
    """``cv2.ppf_match_3d``, in millimetres."""

    def __init__(self) -> None:
        self.detectors: dict[str, cv2.ppf_match_3d.PPF3DDetector] = {}
        self.clouds: dict[str, NDArray] = {}

    def prepare(self, model: ObjectModel) -> None:
        """Train the detector."""
        points, normals = model_cloud(model)
        cloud = np.hstack([points * MM_PER_M, normals]).astype(np.float32)
        detector = cv2.ppf_match_3d.PPF3DDetector(SAMPLING, SAMPLING)
        detector.trainModel(cloud)
        self.detectors[model.name], self.clouds[model.name] = detector, cloud

    def find(self, frame: Frame, model: ObjectModel) -> tuple[NDArray, float] | None:
        """Match, refine the candidates with most votes, keep the one with the least residual."""
        step = SAMPLING * model.diameter / 2
        points = voxel_sample(scene_cloud(frame), step) * MM_PER_M
        _, scene = cv2.ppf_match_3d.computeNormalsPC3d(
            points.astype(np.float32), NORMAL_NEIGHBORS, True, (0.0, 0.0, 0.0)
        )
        results = self.detectors[model.name].match(scene, SCENE_STEP, SCENE_SAMPLING)[:CANDIDATES]
        if not results:
            return None
        icp = cv2.ppf_match_3d.ICP(ICP_ITERATIONS)
        _, refined = icp.registerModelToScene(self.clouds[model.name], scene, results)
        best = min(refined, key=lambda result: result.residual)
        if not np.isfinite(best.pose).all():
            return None
        pose = nearest_rigid(best.pose)
        pose[:3, 3] /= MM_PER_M
        # any score in [0, 1]: one estimate per target makes its value irrelevant
        return pose, float(1 / (1 + best.residual))


def voxel_sample(points: NDArray, size: float) -> NDArray:
    """One point (the first) per cube of this size."""
    _, kept = np.unique(np.floor(points / size).astype(np.int64), axis=0, return_index=True)
    return points[np.sort(kept)]
