"""Candidates of a scene: all poses that the search leaves to the judge, with their features."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import PipelineConfig
from sam6d_ros.stages.geometric.compare import explained_mask
from sam6d_ros.stages.geometric.evidence import Evidence, evidence
from sam6d_ros.stages.geometric.features import FEATURES
from sam6d_ros.stages.geometric.flow import Search
from sam6d_ros.stages.geometric.kit import ObjectKit, kit_of
from sam6d_ros.stages.geometric.propose import SegmentProposer
from sam6d_ros.stages.geometric.score import label_image
from sam6d_ros.stages.geometric.seeds import seeds_in
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.types import Scene
from training.files import Candidates
from training.labels import PoseError, equal_poses, nearest
from training.scenes import TrainingScene
from training.turns import with_gains

MASK_STEP = 4


class Searcher:
    """The search of the geometric backend without its decision."""

    def __init__(self, cache_dir: Path) -> None:
        self._context = BuildContext(PipelineConfig(backend="geometric"), cache_dir)

    def candidates(self, scene: TrainingScene, models: Mapping[str, ObjectModel]) -> Candidates:
        """Search all objects that are asked, and label what is found.

        Args:
            models: by name; those that are asked.
            scene: the frame with its true poses.

        Returns:
            Features and labels of all hypotheses.
        """
        frame = Scene(scene.frame)
        view = frame.derived(evidence)
        proposals = SegmentProposer().propose(frame)
        labels = label_image(proposals, range(len(proposals)), view.scene)
        parts = [self._of_object(scene, view, labels, models[name]) for name in scene.asked]
        features, error, instance, masks, poses = (
            np.concatenate(columns) for columns in list(zip(*parts, strict=True))[:5]
        )
        counts = [len(part[1]) for part in parts]
        found = Candidates(
            scene.domain,
            np.array(FEATURES, dtype=str),
            features,
            error,
            instance.astype(np.int64),
            np.repeat(np.array(scene.asked, dtype=str), counts),
            poses,
            block_diag(*(part[5] for part in parts)).astype(bool),
            masks,
            np.array([truth.visibility for truth in scene.truth], np.float64),
            np.zeros((len(error), 2)),
        )
        return with_gains(found, view, lambda name: self._kit(view, models[name]))

    def _kit(self, view: Evidence, model: ObjectModel) -> ObjectKit:
        return kit_of(model, self._context).seen_in(view.scene)

    def _of_object(
        self, scene: TrainingScene, view: Evidence, labels: NDArray[np.int32], model: ObjectModel
    ) -> tuple[NDArray, ...]:
        """Return features, errors, instances, masks, poses and equality of one object's poses."""
        kit = self._kit(view, model)
        search = Search(view, view.maps(labels), kit, full=True)
        found, features = search.run(seeds_in(view.scene, labels, kit))
        poses, error = found.poses, error_of(model)
        near = [nearest(pose, model.name, scene.truth, error) for pose in poses]
        masks = [explained_mask(view.scene, model, pose) for pose in poses]
        packed = [np.packbits(mask[::MASK_STEP, ::MASK_STEP]) for mask in masks]
        size = len(np.packbits(labels[::MASK_STEP, ::MASK_STEP] > 0))
        return (
            features.values,
            np.array([distance for distance, _ in near], np.float64),
            np.array([index for _, index in near], np.int64),
            np.array(packed, np.uint8).reshape(-1, size),
            poses,
            equal_poses(poses, error),
        )


@lru_cache(maxsize=100)
def error_of(model: ObjectModel) -> PoseError:
    """Return the error measure of an object."""
    return PoseError(model)
