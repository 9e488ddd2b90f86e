"""A backend of given stages."""

from __future__ import annotations

from typing import Any

from sam6d_ros.config import PipelineConfig
from sam6d_ros.stages.backends import Backend, PoseStages


class BackendDouble(Backend):
    """Gives the same stages to every engine.

    Args:
        proposer, scorer, estimator, refiner: the stages.

    Attributes:
        configs: settings of the engines that were built.
    """

    name = "double"

    def __init__(self, proposer: Any, scorer: Any, estimator: Any, refiner: Any) -> None:
        self.proposer, self.scorer = proposer, scorer
        self.estimator, self.refiner = estimator, refiner
        self.configs: list[PipelineConfig] = []

    def choose(self, config: PipelineConfig) -> BackendDouble:
        """Stand in for ``choose_backend``."""
        self.configs.append(config)
        return self

    def segmentation(self, context: Any) -> tuple[Any, Any]:
        return self.proposer, self.scorer

    def pose(self, context: Any) -> PoseStages:
        return PoseStages(self.estimator, self.refiner)
