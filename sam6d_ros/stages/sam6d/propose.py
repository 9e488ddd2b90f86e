"""Class-agnostic proposals by SAM."""

from __future__ import annotations

from sam6d_ros.stages.sam6d.networks import Networks
from sam6d_ros.types import Proposals, Scene


class SamProposer:
    """Every well-bounded region of the colour image."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks

    def propose(self, scene: Scene) -> Proposals:
        """Masks of the frame; empty with the reason when none is good enough."""
        frame = scene.frame
        found = self.networks.sam.segment(frame.rgb)
        if not len(found.scores):
            config = self.networks.config
            return Proposals.empty(
                frame,
                f"SAM found no mask with predicted IoU > {config.min_predicted_iou} and "
                f"stability ≥ {config.min_stability}",
            )
        return Proposals(found.masks, found.scores)
