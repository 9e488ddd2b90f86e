"""The backend ``sam6d``: the released networks of SAM-6D. Imports torch only to build stages."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import BackendUnavailable, install_extra
from sam6d_ros.models import weights
from sam6d_ros.stages.backends import Backend, PoseStages
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.stages.protocols import Proposer, Scorer
from sam6d_ros.stages.sam6d.settings import Sam6dConfig

if TYPE_CHECKING:
    from sam6d_ros.stages.sam6d.networks import Networks

LIBRARIES = ("torch", "segment_anything")
# On the scale of the network's scores, products of two: lower than the geometric backend's. Not
# calibrated: the original has no such threshold.
NETWORK_MIN_SCORE = 0.2


class Sam6dBackend(Backend):
    """SAM, DINOv2 and the Pose Estimation Model."""

    name = "sam6d"
    auto_rank = 10
    reads_templates = True

    def obstacle(self, config: PipelineConfig) -> str:
        """Return the library or file that is missing, with the remedy; "" if the backend can run.

        Args:
            config: settings of the pipeline.
        """
        lacking = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
        if lacking:
            words = " and ".join(lacking)
            return f"{words} not installed; {install_extra('sam6d')}"
        if config.weights_dir is None:
            return "no weights folder is configured (weights_dir)"
        variant = self.parse_options(config.backend_options).sam_variant
        if absent := weights.missing(config.weights_dir, variant):
            return f"{config.weights_dir} lacks {', '.join(absent)} (sam6d weights fetch)"
        return ""

    def parse_options(self, text: str) -> Sam6dConfig:
        """Parse ``name=value`` words.

        Args:
            text: value of the setting.

        Returns:
            The settings.

        Raises:
            InvalidConfig: a name or value is wrong.
        """
        return Sam6dConfig.parse(text)

    def device(self, config: PipelineConfig) -> str:
        """Return the device of the networks, as torch names it.

        Args:
            config: settings of the pipeline.
        """
        from sam6d_ros.models.device import resolve_device

        return str(resolve_device(config.device))

    def views(self, config: PipelineConfig) -> int:
        """Return the number of rendered views of each object.

        Args:
            config: settings of the pipeline.
        """
        return self.parse_options(config.backend_options).views

    def segmentation(self, context: BuildContext) -> tuple[Proposer, Scorer]:
        """Load SAM and DINOv2.

        Args:
            context: settings and shared resources.

        Returns:
            Proposer and scorer.

        Raises:
            BackendUnavailable: torch, the device or the weights are not here.
            CheckpointError: a weights file is damaged or of another network.
        """
        networks = self._networks(context.config)
        from sam6d_ros.stages.sam6d.propose import SamProposer
        from sam6d_ros.stages.sam6d.score import DescriptorScorer

        networks.sam, networks.dino  # noqa: B018  (load now, not at the first image)
        return SamProposer(networks), DescriptorScorer(networks, context)

    def pose(self, context: BuildContext) -> PoseStages:
        """Load the pose network; raise as ``segmentation``.

        Args:
            context: settings and shared resources.

        Returns:
            Estimator and refiner; there is no tracker.
        """
        networks = self._networks(context.config)
        from sam6d_ros.stages.keep_poses import KeepPoses
        from sam6d_ros.stages.sam6d.estimate import PemEstimator

        networks.pem  # noqa: B018  (load now, not at the first image)
        estimator = PemEstimator(networks, context)
        if not networks.config.final_icp:
            return PoseStages(estimator, KeepPoses(), NETWORK_MIN_SCORE)
        from sam6d_ros.stages.geometric.refine import DEFAULT_MIN_SCORE, RenderRefiner

        # the geometric refiner scores the poses anew and compares their pixels
        return PoseStages(estimator, RenderRefiner(context), DEFAULT_MIN_SCORE, True)

    def _networks(self, config: PipelineConfig) -> Networks:
        folder = self._folder(config)
        from sam6d_ros.stages.sam6d.networks import Networks

        return Networks(folder, self.parse_options(config.backend_options), config.device)

    def _folder(self, config: PipelineConfig) -> Path:
        reason = self.obstacle(config)
        if reason or config.weights_dir is None:
            raise BackendUnavailable(f"the sam6d backend cannot run: {reason}")
        return config.weights_dir


BACKEND = Sam6dBackend()
