"""Weight-free backend: rendered views placed on depth, checked by rendering again."""

from sam6d_ros.stages.geometric.estimate import TemplateEstimator
from sam6d_ros.stages.geometric.propose import SegmentProposer
from sam6d_ros.stages.geometric.refine import DEFAULT_MIN_SCORE, PoseJudge, RenderRefiner
from sam6d_ros.stages.geometric.score import TemplateScorer
from sam6d_ros.stages.geometric.track import ModelTracker

__all__ = [
    "DEFAULT_MIN_SCORE",
    "ModelTracker",
    "PoseJudge",
    "RenderRefiner",
    "SegmentProposer",
    "TemplateEstimator",
    "TemplateScorer",
]
