"""The last step of the ``sam6d`` backend when the geometric one does not refine its poses."""

from __future__ import annotations

from collections.abc import Sequence

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import Candidates, PoseEstimates, Scene


class KeepPoses:
    """Refiner that changes no pose."""

    def prepare(self, model: ObjectModel) -> None:
        """Prepare nothing."""

    def refine(
        self, scene: Scene, candidates: Candidates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Return the network's poses as they are."""
        return candidates.best(scene.frame)
