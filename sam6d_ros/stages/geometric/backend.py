"""The backend ``geometric``: no weights; it runs on every machine."""

from __future__ import annotations

from sam6d_ros.config import PipelineConfig
from sam6d_ros.stages.backends import Backend, PoseStages
from sam6d_ros.stages.geometric.estimate import TemplateEstimator
from sam6d_ros.stages.geometric.propose import SegmentProposer
from sam6d_ros.stages.geometric.refine import DEFAULT_MIN_SCORE, PoseJudge
from sam6d_ros.stages.geometric.score import TemplateScorer
from sam6d_ros.stages.geometric.templates import VIEWS
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.stages.protocols import Proposer, Scorer


class GeometricBackend(Backend):
    """Rendered views placed on depth, verified by rendering again."""

    name = "geometric"
    auto_rank = 100

    def views(self, config: PipelineConfig) -> int:
        """Return the number of rendered views of each object.

        Args:
            config: settings of the pipeline.
        """
        return VIEWS

    def segmentation(self, context: BuildContext) -> tuple[Proposer, Scorer]:
        """Build the proposer and the scorer.

        Args:
            context: cache folder and library of the engine.

        Returns:
            Proposer and scorer.
        """
        return SegmentProposer(), TemplateScorer(context)

    def pose(self, context: BuildContext) -> PoseStages:
        """Build the estimator and the refiner.

        Args:
            context: cache folder and library of the engine.

        Returns:
            Estimator, refiner and limits.
        """
        return PoseStages(
            TemplateEstimator(context),
            PoseJudge(context),
            DEFAULT_MIN_SCORE,
            exclusive_pixels=True,
        )


BACKEND = GeometricBackend()
