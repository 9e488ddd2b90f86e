"""Protocols of the stages. Objects are passed in: stages hold no list of their own.

Every stage takes the ``Scene`` of a frame and derives from it what several stages share.

A stage may prepare per-object data (templates, descriptors) in ``prepare``; it is called once per
object when the object is added, before the first frame, and keeps what it made only as long
as the model lives: an object that is removed is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.areas import SearchAreas
from sam6d_ros.types import Candidates, Detections, PoseEstimates, Proposals, Scene


class Proposer(Protocol):
    """Class-agnostic regions that may be one object each."""

    def propose(self, scene: Scene) -> Proposals:
        """Find regions of the image that may show an object.

        Args:
            scene: the frame and what is derived from it.

        Returns:
            Regions; empty with the reason if there are none.
        """


@runtime_checkable
class ProposesInBoxes(Protocol):
    """A proposer that makes a region of each box of a detector, instead of regions of the frame."""

    def propose_in_boxes(self, scene: Scene, areas: SearchAreas) -> Proposals:
        """Return one region for each box, with the objects that are allowed there.

        Args:
            scene: the frame and what is derived from it.
            areas: boxes without masks, at least one.
        """


class Scorer(Protocol):
    """Stage that names and scores the regions that show objects."""

    def prepare(self, model: ObjectModel) -> None:
        """Compute what this object needs, or load it from the cache.

        Args:
            model: the object.
        """

    def score(
        self,
        scene: Scene,
        proposals: Proposals,
        objects: Sequence[ObjectModel],
        limits: Mapping[str, int],
    ) -> Detections:
        """Name and score instances; their masks may differ from the regions.

        Args:
            scene: the frame and what is derived from it.
            proposals: regions of the frame.
            objects: objects to find.
            limits: largest number of instances in the final result, by object. A scorer may
                return a few more, for the later stages to choose from.

        Returns:
            Instances, best first within an object; empty with the reason.
        """


@runtime_checkable
class WarmsInBatches(Protocol):
    """A stage whose first run of each size of a batch is slow."""

    @property
    def warm_up_sizes(self) -> Sequence[int]:
        """Numbers of boxes, regions or detections to run before the first frame, in this order."""


class Estimator(Protocol):
    """A pose (or several candidates) for each detection."""

    def prepare(self, model: ObjectModel) -> None:
        """Compute what this object needs, or load it from the cache.

        Args:
            model: the object.
        """

    def estimate(
        self, scene: Scene, detections: Detections, objects: Sequence[ObjectModel]
    ) -> Candidates:
        """Estimate poses that are not yet verified against the whole image.

        Args:
            scene: the frame and what is derived from it.
            detections: instances with masks.
            objects: models of the detected classes.

        Returns:
            Hypotheses of each instance; empty with the reason.
        """


class Refiner(Protocol):
    """Refine candidates by rendering and comparing; ``accept`` decides which are returned."""

    def prepare(self, model: ObjectModel) -> None:
        """Compute what this object needs, or load it from the cache.

        Args:
            model: the object.
        """

    def refine(
        self, scene: Scene, candidates: Candidates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Refine, verify and score the hypotheses.

        Args:
            scene: the frame and what is derived from it.
            candidates: hypotheses of each instance.
            objects: models of the instances.

        Returns:
            One pose per instance, in any order, scores in [0, 1].
        """


class Tracker(Protocol):
    """Follows known instances from one frame to the next."""

    def prepare(self, model: ObjectModel) -> None:
        """Compute what this object needs, or load it from the cache.

        Args:
            model: the object.
        """

    def track(
        self, scene: Scene, poses: PoseEstimates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Bring predicted poses of known instances onto this frame.

        Args:
            scene: the frame and what is derived from it.
            poses: predicted poses, each with its ``instance_id``: what is learnt of an instance on
                the way is used under the same id only.
            objects: the models of at least the classes in ``poses``.

        Returns:
            The instances that are still seen, with ``instance_id`` kept: pose in this frame, score
            (quality in [0, 1]), covariance and agreement. What cannot be confirmed is absent.
        """
