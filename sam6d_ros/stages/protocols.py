"""Protocols of the stages. Objects are passed in: stages hold no list of their own.

Every stage takes the ``Scene`` of a frame and derives from it what several stages share.

A stage may prepare per-object data (templates, descriptors) in ``prepare``; it is called once per
object when the object is added, before the first frame, and keeps what it made only as long
as the model lives: an object that is removed is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import Candidates, Detections, PoseEstimates, Proposals, Scene


class Proposer(Protocol):
    """Class-agnostic regions that may be one object each."""

    def propose(self, scene: Scene) -> Proposals:
        """Find regions; an image with none gives empty proposals with the reason."""


class Scorer(Protocol):
    """Which region shows which object, and how surely."""

    def prepare(self, model: ObjectModel) -> None:
        """Make (or load from the cache) what this object needs."""

    def score(
        self,
        scene: Scene,
        proposals: Proposals,
        objects: Sequence[ObjectModel],
        limits: Mapping[str, int],
    ) -> Detections:
        """Name and score instances; their masks may differ from the regions.

        Args:
            limits: largest number of instances in the final result, by object. A scorer may
                return a few more, for the later stages to choose from.
        """


class Estimator(Protocol):
    """A pose (or several candidates) for each detection."""

    def prepare(self, model: ObjectModel) -> None:
        """Make (or load from the cache) what this object needs."""

    def estimate(
        self, scene: Scene, detections: Detections, objects: Sequence[ObjectModel]
    ) -> Candidates:
        """Candidate poses, not yet verified against the whole image."""


class Refiner(Protocol):
    """Refine candidates by rendering and comparing; ``accept`` decides which are returned."""

    def prepare(self, model: ObjectModel) -> None:
        """Make (or load from the cache) what this object needs."""

    def refine(
        self, scene: Scene, candidates: Candidates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """One pose per instance, in any order, scores in [0, 1]."""


class Tracker(Protocol):
    """Follows known instances from one frame to the next."""

    def prepare(self, model: ObjectModel) -> None:
        """Make (or load from the cache) what this object needs."""

    def track(
        self, scene: Scene, poses: PoseEstimates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Bring predicted poses of known instances onto this frame.

        Args:
            poses: predicted poses, each with its ``instance_id``: what is learnt of an instance on
                the way is used under the same id only.
            objects: the models of at least the classes in ``poses``.

        Returns:
            The instances that are still seen, with ``instance_id`` kept: pose in this frame, score
            (quality in [0, 1]), covariance and agreement. What cannot be confirmed is absent.
        """
