"""Refiner of backends whose estimator gives final poses."""

from __future__ import annotations

from collections.abc import Sequence

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import Candidates, PoseEstimates, Scene


class KeepPoses:
    """Refiner that changes no pose."""

    def prepare(self, model: ObjectModel) -> None:
        """Prepare nothing.

        Args:
            model: the object.
        """

    def refine(
        self, scene: Scene, candidates: Candidates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Return the first hypothesis of each instance as it is.

        Args:
            scene: the frame.
            candidates: hypotheses of each instance.
            objects: models of the instances.
        """
        return candidates.best(scene.frame)
