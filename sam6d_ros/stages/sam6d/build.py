"""Builds the stages of the ``sam6d`` backend. The only module of it that others need to import."""

from __future__ import annotations

from sam6d_ros.config import PipelineConfig
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.stages.protocols import Estimator, Proposer, Refiner, Scorer
from sam6d_ros.stages.sam6d.availability import require
from sam6d_ros.stages.sam6d.estimate import PemEstimator
from sam6d_ros.stages.sam6d.finish import KeepPoses
from sam6d_ros.stages.sam6d.networks import Networks
from sam6d_ros.stages.sam6d.propose import SamProposer
from sam6d_ros.stages.sam6d.score import DescriptorScorer

# On the scale of the network's scores, products of two: lower than the geometric backend's. Not
# calibrated: the original has no such threshold.
NETWORK_MIN_SCORE = 0.2


def segmentation_stages(context: BuildContext) -> tuple[Proposer, Scorer]:
    """Load SAM and DINOv2.

    Raises:
        BackendUnavailable: torch, the device or the weights are not here.
        CheckpointError: a weights file is damaged or of another network.
    """
    networks = _networks(context.config)
    networks.sam, networks.dino  # noqa: B018  (load now, not at the first image)
    return SamProposer(networks), DescriptorScorer(networks, context)


def pose_stages(context: BuildContext) -> tuple[Estimator, Refiner]:
    """Load the pose network. Raises like :func:`segmentation_stages`."""
    config = context.config
    networks = _networks(config)
    networks.pem  # noqa: B018  (load now, not at the first image)
    refiner: Refiner = KeepPoses()
    if config.sam6d.final_icp:
        from sam6d_ros.stages.geometric import RenderRefiner

        refiner = RenderRefiner(context)
    return PemEstimator(networks, context), refiner


def default_min_score(config: PipelineConfig) -> float:
    """Return the threshold for callers that state none."""
    if config.sam6d.final_icp:
        from sam6d_ros.stages.geometric import DEFAULT_MIN_SCORE

        return DEFAULT_MIN_SCORE
    return NETWORK_MIN_SCORE


def _networks(config: PipelineConfig) -> Networks:
    folder = require(config.weights_dir, config.sam6d)
    return Networks(folder, config.sam6d, config.device)
