"""The last step of the ``sam6d`` backend when the geometric one does not refine its poses."""

from __future__ import annotations

from collections.abc import Sequence

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import PoseEstimates, Scene


class ThresholdRefiner:
    """Keeps the network's poses that score well enough; changes none of them."""

    def __init__(self, min_score: float) -> None:
        self.min_score = min_score

    def prepare(self, model: ObjectModel) -> None:
        """Nothing to prepare."""

    def refine(
        self, scene: Scene, candidates: PoseEstimates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """The poses above the threshold (an object's own, else the common one), best first."""
        limits = {m.name: self.min_score if m.min_score is None else m.min_score for m in objects}
        kept = tuple(p for p in candidates.items if p.score >= limits.get(p.class_id, 0.0))
        if not kept:
            best = max(p.score for p in candidates.items) if candidates.items else 0.0
            reason = f"the best pose scores {best:.2f}, below the limit"
            return PoseEstimates.empty(scene.frame, reason)
        return PoseEstimates(kept, candidates.stamp_ns, candidates.frame_id)
