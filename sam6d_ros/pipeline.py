"""RGB-D frame and objects in, scored 6D poses out: the stages, composed and timed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.canonical import canonical
from sam6d_ros.errors import own_results
from sam6d_ros.geometry.region import Region
from sam6d_ros.stages.accept import Acceptance, accept
from sam6d_ros.stages.areas import SearchAreas
from sam6d_ros.stages.protocols import Estimator, Proposer, ProposesInBoxes, Refiner, Scorer
from sam6d_ros.stages.regions import (
    detections_in_areas,
    detections_in_region,
    proposals_in_areas,
    proposals_in_region,
)
from sam6d_ros.types import (
    Boxes,
    Candidates,
    Detections,
    PoseEstimates,
    Proposals,
    Rejection,
    Scene,
)

_LOG = logging.getLogger(__name__)


class Timings:
    """Seconds of each stage of one piece of work, by the stage's name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Measure the seconds of one stage, also when it raises.

        Args:
            stage: name under which the seconds are stored.
        """
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - start


@dataclass
class Record:
    """Intermediate results of one frame, for debugging (``sam6d estimate --debug``)."""

    boxes: Boxes | None = None
    proposals: Proposals | None = None
    detections: Detections | None = None
    candidates: Candidates | None = None


def _no_checkpoint() -> None:
    """Go on: there is no client who could give the work up."""


def _no_feedback(stage: str) -> None:
    """Report no stage."""


def _log_warning(text: str) -> None:
    _LOG.warning("%s", text)


@dataclass(frozen=True)
class RunContext:
    """Per-request context of one run through the stages.

    Attributes:
        timings: seconds of each stage.
        record: receives the intermediate results, or None.
        checkpoint: called before each stage, and by a shell just before it publishes; raises
            ``Cancelled``, ``DeadlineExceeded`` or ``NotReady`` to end the run there.
        on_stage: called with the name of each stage that begins.
        on_warning: called with what was left out of the input, and why; logged by default.
    """

    timings: Timings = field(default_factory=Timings)
    record: Record | None = None
    checkpoint: Callable[[], None] = _no_checkpoint
    on_stage: Callable[[str], None] = _no_feedback
    on_warning: Callable[[str], None] = _log_warning

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Enter a stage: pass the checkpoint, report the stage, measure its seconds.

        Args:
            name: of the stage, as ``on_stage`` and the timings receive it.

        Raises:
            Cancelled, DeadlineExceeded: the request is over.
            NotReady: the host has stopped serving.
            InvariantError: the stage made an invalid value, a NaN of a network for example.
        """
        self.checkpoint()
        self.on_stage(name)
        with self.timings.measure(name), own_results(f"stage {name}"):
            yield


class Segmentation:
    """The first half: propose and score. What the segmentation node runs."""

    def __init__(self, proposer: Proposer, scorer: Scorer) -> None:
        self.proposer, self.scorer = proposer, scorer

    def prepare(self, model: ObjectModel) -> None:
        """Prepare the scorer for one object.

        Args:
            model: the object.
        """
        self.scorer.prepare(model)

    def run(
        self,
        scene: Scene,
        objects: Sequence[ObjectModel],
        acceptance: Acceptance,
        region: Region | None = None,
        ctx: RunContext | None = None,
        areas: SearchAreas | None = None,
    ) -> Detections:
        """Find the visible instances of the objects; empty with a reason when there is none.

        Args:
            scene: the frame and what is derived from it.
            objects: objects to find.
            acceptance: its limits of instances bound the number of detections.
            region: look only here: instances that lie in it for the most part.
            ctx: timings, record and checkpoint of the call; new ones by default.
            areas: search each object only where a detector allows it.

        Returns:
            The detections.

        Raises:
            InvalidInput: the region reaches beyond the image.
        """
        ctx = ctx or RunContext()
        if region is not None:
            region.check_inside(scene.frame.depth.shape)
        if not scene.frame.has_depth:
            return Detections.empty("the depth image has no valid pixel")
        scene = scene.with_checkpoint(ctx.checkpoint)
        if not objects:
            return Detections.empty("no object is loaded")
        if areas is not None:
            areas = areas.of_objects([model.name for model in objects])
        with ctx.stage("propose"):
            proposals = self._propose(scene, region, areas)
        if ctx.record:
            ctx.record.proposals = proposals
        if not len(proposals):
            return Detections.empty(proposals.reason)
        with ctx.stage("score"):
            limits = {model.name: acceptance.max_instances_of(model.name) for model in objects}
            detections = self.scorer.score(scene, proposals, objects, limits)
            detections.check_size(scene.frame)
            if areas is not None:
                detections = detections_in_areas(detections, areas)
            if region is not None:
                detections = detections_in_region(detections, region)
        if ctx.record:
            ctx.record.detections = detections
        return detections

    def _propose(self, scene: Scene, region: Region | None, areas: SearchAreas | None) -> Proposals:
        """Return the regions of the frame that are searched."""
        if areas is not None and areas.are_boxes and isinstance(self.proposer, ProposesInBoxes):
            proposals = self.proposer.propose_in_boxes(scene, areas)
            proposals.check_size(scene.frame)
        else:
            proposals = self._propose_in_frame(scene, areas)
        return proposals if region is None else proposals_in_region(proposals, region)

    def _propose_in_frame(self, scene: Scene, areas: SearchAreas | None) -> Proposals:
        """Return the regions of the frame that the areas allow, and those that they state."""
        if areas is None or areas.need_proposals:
            proposals = self.proposer.propose(scene)
            proposals.check_size(scene.frame)
        else:
            proposals = Proposals.empty(scene.frame, "")
        return proposals if areas is None else proposals_in_areas(proposals, areas, scene.frame)


class PoseEstimation:
    """The second half: estimate, refine and accept. What the pose node runs.

    Args:
        estimator: first stage of this half.
        refiner: second stage of this half.
        default_min_score: threshold on the scale of the refiner's scores, for callers that state
            none.
        exclusive_pixels: whether a pose most of whose pixels belong to better poses is rejected.
    """

    def __init__(
        self,
        estimator: Estimator,
        refiner: Refiner,
        default_min_score: float = 0.0,
        exclusive_pixels: bool = False,
    ) -> None:
        self.estimator, self.refiner = estimator, refiner
        self.default_min_score, self.exclusive_pixels = default_min_score, exclusive_pixels

    def prepare(self, model: ObjectModel) -> None:
        """Prepare estimator and refiner for one object.

        Args:
            model: the object.
        """
        self.estimator.prepare(model)
        self.refiner.prepare(model)

    def run(
        self,
        scene: Scene,
        detections: Detections,
        objects: Sequence[ObjectModel],
        acceptance: Acceptance,
        ctx: RunContext | None = None,
    ) -> PoseEstimates:
        """Estimate the pose of every detection; empty with a reason when there is none.

        Args:
            scene: the frame with its derived maps.
            detections: instances whose poses are estimated.
            objects: models of the detected classes.
            acceptance: thresholds and limits of this call.
            ctx: timings, record and checkpoint; None for neither.

        Returns:
            The accepted estimates, best first.

        Raises:
            InvalidInput: a mask has not the frame's size.
        """
        ctx = ctx or RunContext()
        detections.check_size(scene.frame)
        if not len(detections):
            nothing = PoseEstimates.empty(scene.frame, detections.reason)
            return replace(nothing, rejected=_unsearched(detections))
        scene = scene.with_checkpoint(ctx.checkpoint)
        with ctx.stage("estimate"):
            candidates = self.estimator.estimate(scene, detections, objects)
            candidates.check_size(scene.frame)
        if ctx.record:
            ctx.record.candidates = candidates
        if not len(candidates):
            return PoseEstimates.empty(scene.frame, candidates.reason)
        with ctx.stage("refine"):
            poses = self.refiner.refine(scene, candidates, objects)
            poses.check_size(scene.frame)
            accepted = accept(poses, acceptance, self.exclusive_pixels)
            if acceptance.canonical:
                models = {model.name: model for model in objects}
                items = tuple(canonical(pose, models[pose.class_id]) for pose in accepted.items)
                accepted = replace(accepted, items=items)
        accepted = replace(accepted, rejected=(*accepted.rejected, *_unsearched(detections)))
        return accepted.with_timings(ctx.timings.seconds)


def _unsearched(detections: Detections) -> tuple[Rejection, ...]:
    """Return one rejection for each object that was not searched."""
    reason = "was not searched: budget_s was used up"
    return tuple(Rejection(name, "", 0.0, reason) for name in detections.unsearched)
