"""RGB-D frame and objects in, scored 6D poses out: the stages, composed and timed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import PipelineConfig
from sam6d_ros.geometry.region import Region
from sam6d_ros.stages.protocols import Estimator, Proposer, Refiner, Scorer, Tracker
from sam6d_ros.stages.region import detections_in_region, proposals_in_region
from sam6d_ros.stages.sam6d.availability import choose_backend
from sam6d_ros.types import Detections, Frame, PoseEstimates, Proposals

_LOG = logging.getLogger(__name__)


@dataclass
class Trace:
    """What every stage gave for one frame: explains a wrong pose (``sam6d estimate --debug``)."""

    proposals: Proposals | None = None
    detections: Detections | None = None
    candidates: PoseEstimates | None = None
    timings_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Measure the seconds of one stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings_s[stage] = time.perf_counter() - start


class Segmentation:
    """The first half: propose and score. What the segmentation node runs."""

    def __init__(self, proposer: Proposer, scorer: Scorer) -> None:
        self.proposer, self.scorer = proposer, scorer

    def prepare(self, model: ObjectModel) -> None:
        """Make ready for one object."""
        self.scorer.prepare(model)

    def run(
        self,
        frame: Frame,
        objects: Sequence[ObjectModel],
        trace: Trace | None = None,
        region: Region | None = None,
    ) -> Detections:
        """Find the visible instances of the objects; empty with a reason when there is none.

        Args:
            region: look only here: instances that lie in it for the most part.

        Raises:
            InvalidInput: the region reaches beyond the image.
        """
        trace = trace or Trace()
        if region is not None:
            region.check_inside(frame.depth.shape)
        if not frame.has_depth:
            return Detections.empty("the depth image has no valid pixel")
        if not objects:
            return Detections.empty("no object is loaded")
        with trace.timed("propose"):
            trace.proposals = self.proposer.propose(frame)
            if region is not None:
                trace.proposals = proposals_in_region(trace.proposals, region)
        if not len(trace.proposals):
            return Detections.empty(trace.proposals.reason)
        with trace.timed("score"):
            trace.detections = self.scorer.score(frame, trace.proposals, objects)
            if region is not None:
                trace.detections = detections_in_region(trace.detections, region)
        return trace.detections


class PoseEstimation:
    """The second half: estimate and refine. What the pose node runs."""

    def __init__(self, estimator: Estimator, refiner: Refiner) -> None:
        self.estimator, self.refiner = estimator, refiner

    def prepare(self, model: ObjectModel) -> None:
        """Make ready for one object."""
        self.estimator.prepare(model)
        self.refiner.prepare(model)

    def run(
        self,
        frame: Frame,
        detections: Detections,
        objects: Sequence[ObjectModel],
        trace: Trace | None = None,
    ) -> PoseEstimates:
        """Estimate the pose of every detection; empty with a reason when there is none."""
        trace = trace or Trace()
        if not len(detections):
            return PoseEstimates.empty(frame, detections.reason)
        with trace.timed("estimate"):
            trace.candidates = self.estimator.estimate(frame, detections, objects)
        if not len(trace.candidates):
            return PoseEstimates.empty(frame, trace.candidates.reason)
        with trace.timed("refine"):
            poses = self.refiner.refine(frame, trace.candidates, objects)
        return poses.with_timings(trace.timings_s)


class Pipeline:
    """Both halves in one process.

    ``prepare`` every object once; ``run`` then works on any subset of the prepared objects.
    """

    def __init__(self, segmentation: Segmentation, pose_estimation: PoseEstimation) -> None:
        self.segmentation, self.pose_estimation = segmentation, pose_estimation

    def prepare(self, model: ObjectModel) -> None:
        """Make ready for one object: templates and caches."""
        self.segmentation.prepare(model)
        self.pose_estimation.prepare(model)

    def run(
        self, frame: Frame, objects: Sequence[ObjectModel], trace: Trace | None = None
    ) -> PoseEstimates:
        """Find all instances of the objects in the frame.

        Returns:
            Poses best first, with per-stage timings; empty with a reason when nothing is found.
        """
        trace = trace or Trace()
        detections = self.segmentation.run(frame, objects, trace)
        return self.pose_estimation.run(frame, detections, objects, trace)


def build_pipeline(config: PipelineConfig, cache_dir: Path | None = None) -> Pipeline:
    """Choose the backend and load what it needs (checkpoints, compiled kernels), once.

    Args:
        config: settings.
        cache_dir: where the stages keep what they make of an object, or None.

    Raises:
        BackendUnavailable: "sam6d" was asked for and cannot run here.
        CheckpointError: its weights are damaged.
    """
    segmentation = build_segmentation(config, cache_dir)
    return Pipeline(segmentation, build_pose_estimation(config, cache_dir))


def build_segmentation(config: PipelineConfig, cache_dir: Path | None = None) -> Segmentation:
    """The first half alone, for a segmentation process."""
    if _backend(config) == "sam6d":
        from sam6d_ros.stages.sam6d.build import segmentation_stages

        return Segmentation(*segmentation_stages(config, cache_dir))
    from sam6d_ros.stages import geometric

    return Segmentation(geometric.SegmentProposer(), geometric.TemplateScorer(config, cache_dir))


def build_pose_estimation(config: PipelineConfig, cache_dir: Path | None = None) -> PoseEstimation:
    """The second half alone, for a pose process."""
    if _backend(config) == "sam6d":
        from sam6d_ros.stages.sam6d.build import pose_stages

        return PoseEstimation(*pose_stages(config, cache_dir))
    from sam6d_ros.stages import geometric

    return PoseEstimation(
        geometric.TemplateEstimator(config, cache_dir), geometric.RenderRefiner(config, cache_dir)
    )


def build_tracking(cache_dir: Path | None = None) -> Tracker:
    """What follows instances between full estimates; the same for every backend.

    Args:
        cache_dir: where it keeps what it makes of an object, or None.
    """
    from sam6d_ros.stages import geometric

    return geometric.ModelTracker(cache_dir)


def _backend(config: PipelineConfig) -> str:
    """The backend that the settings mean on this machine; says which, and why, in the log."""
    name, reason = choose_backend(config.backend, config.weights_dir, config.sam6d)
    _LOG.info(reason)
    return name
