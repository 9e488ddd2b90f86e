"""Candidates and pose estimates of the instances of a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.types.frame import Frame
from sam6d_ros.types.ids import named
from sam6d_ros.types.masks import check_mask, check_mask_sizes


@dataclass(frozen=True)
class InstanceCandidates:
    """Hypotheses of the pose of one detected instance, best first.

    Attributes:
        class_id, instance_id: of the detection.
        cam_from_obj: (K, 4, 4) float64, poses of the CAD origin in the camera optical frame,
            metres; K is 1 or more.
        score: (K,) float in [0, 1], comparable within one object only.
        mask: (H, W) bool, of the detection.
        agreement: named contributions to the first score, for people.

    Raises:
        InvalidInput: lengths disagree, a score is out of range, a pose is not rigid or the mask
            has another shape or type.
    """

    class_id: str
    instance_id: str
    cam_from_obj: NDArray[np.float64]
    score: NDArray[np.floating]
    mask: NDArray[np.bool_]
    agreement: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        poses, scores = self.cam_from_obj, self.score
        if not len(poses) or scores.shape != (len(poses),):
            raise InvalidInput(
                f"candidates of {self.instance_id!r}: poses are {poses.shape}, scores "
                f"{scores.shape}; expected (K, 4, 4) and (K,) with K of 1 or more"
            )
        for pose in poses:
            se3.check_rigid(pose, "cam_from_obj")
        if not ((scores >= 0) & (scores <= 1)).all():
            raise InvalidInput(f"scores {scores.tolist()} are not all in [0, 1]")
        check_mask(self.mask, self.instance_id)

    def best(self) -> PoseEstimate:
        """Return the first hypothesis as an estimate."""
        return PoseEstimate(
            self.class_id,
            float(self.score[0]),
            self.cam_from_obj[0],
            mask=self.mask,
            instance_id=self.instance_id,
            agreement=self.agreement,
        )


@dataclass(frozen=True)
class Candidates:
    """Hypotheses of all instances of one frame: from estimator to refiner, never published.

    Attributes:
        items: one entry per instance.
        reason: why there is none, when there is none.
    """

    items: tuple[InstanceCandidates, ...]
    reason: str = ""

    @classmethod
    def empty(cls, reason: str) -> Candidates:
        """Return no hypothesis, with the reason.

        Args:
            reason: for people.
        """
        return cls((), reason)

    def best(self, frame: Frame) -> PoseEstimates:
        """Return the first hypothesis of each instance: the poses of a backend without refiner.

        Args:
            frame: the image.
        """
        items = tuple(item.best() for item in self.items)
        return PoseEstimates(items, frame.stamp_ns, frame.frame_id, self.reason)

    def check_size(self, frame: Frame) -> None:
        """Refuse masks of another image.

        Args:
            frame: the image.

        Raises:
            InvalidInput: a mask has not the frame's size.
        """
        check_mask_sizes(self.items, frame)

    def __len__(self) -> int:
        return len(self.items)


class Alternative(NamedTuple):
    """Another explanation of what one estimate explains.

    Attributes:
        class_id: the object's name in the objects file.
        cam_from_obj: (4, 4) float64, pose of the CAD origin in the camera optical frame, metres.
        probability: in [0, 1].
    """

    class_id: str
    cam_from_obj: NDArray[np.float64]
    probability: float


@dataclass(frozen=True)
class PoseEstimate:
    """The 6D pose of one instance.

    Attributes:
        class_id: the object's name in the objects file.
        score: in [0, 1]; see docs/conventions.md for its meaning.
        cam_from_obj: (4, 4) float64, pose of the CAD origin in the camera optical frame, metres.
        covariance: (6, 6) of (x, y, z, rotation about x, y, z) in the camera frame
            (m², rad²), or None when unknown.
        mask: (H, W) bool, the pixels that the object explains, or None.
        instance_id: name of the physical object; empty until ``PoseEstimates`` gives it.
        agreement: named contributions to the score, each in [0, 1], for people: no code branches
            on its keys.
        alternatives: other poses or names that the frame does not rule out, most probable first.
        visible: share of the silhouette that nothing hides, in [0, 1]; 1 where it is unknown.
        confirmed: whether the frame shows it; a tracked instance that is hidden coasts for a
            while and is not confirmed.
        presence: share of the frames with an agreeing pose, in [0, 1]; 1 for a single frame.

    Raises:
        InvalidInput: the pose is not rigid, a share is out of its range or the mask has another
            shape or type.
    """

    class_id: str
    score: float
    cam_from_obj: NDArray[np.float64]
    covariance: NDArray[np.float64] | None = None
    mask: NDArray[np.bool_] | None = None
    instance_id: str = ""
    agreement: Mapping[str, float] = field(default_factory=dict)
    alternatives: tuple[Alternative, ...] = ()
    visible: float = 1.0
    confirmed: bool = True
    presence: float = 1.0

    @property
    def any_right(self) -> float:
        """Probability that the pose or one of its alternatives of the same object is right."""
        same = (other for other in self.alternatives if other.class_id == self.class_id)
        return min(1.0, self.score + sum(other.probability for other in same))

    def __repr__(self) -> str:
        """Name, score, and position in millimetres."""
        x, y, z = np.round(1000 * self.cam_from_obj[:3, 3], 1) + 0.0  # no negative zero
        name = self.instance_id or self.class_id
        return f"<{name} score={self.score:.2f} xyz_mm=({x:.1f}, {y:.1f}, {z:.1f})>"

    def __post_init__(self) -> None:
        object.__setattr__(self, "cam_from_obj", se3.check_rigid(self.cam_from_obj, "cam_from_obj"))
        for name in ("score", "visible", "presence"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise InvalidInput(f"{name} {value} is not in [0, 1]")
        if self.mask is not None:
            check_mask(self.mask, self.instance_id or self.class_id)


class Rejection(NamedTuple):
    """Estimate that ``accept`` did not return.

    Attributes:
        class_id, instance_id, score: of the estimate.
        reason: its value and the threshold that rejected it.
    """

    class_id: str
    instance_id: str
    score: float
    reason: str


@dataclass(frozen=True)
class PoseEstimates:
    """All poses of one frame, best first, with the header of the image they come from.

    Attributes:
        items: the poses; their ids are unique and never empty, as those of ``Detections``.
        stamp_ns, frame_id: of the image.
        reason: why there is none, when there is none.
        timings_s: seconds by the name of a stage.
        rejected: estimates that ``accept`` did not return, best first.

    Raises:
        InvalidInput: two poses have one id.
    """

    items: tuple[PoseEstimate, ...]
    stamp_ns: int
    frame_id: str
    reason: str = ""
    timings_s: Mapping[str, float] = field(default_factory=dict)
    rejected: tuple[Rejection, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", named(self.items))

    def __repr__(self) -> str:
        """One line per pose, or the reason why there is none."""
        lines = [repr(item) for item in self.items] or [self.reason]
        return "\n".join([f"PoseEstimates({len(self.items)})", *(f"  {line}" for line in lines)])

    @classmethod
    def empty(cls, frame: Frame, reason: str) -> PoseEstimates:
        """Return no pose, with the reason.

        Args:
            frame: the image.
            reason: for people.
        """
        return cls((), frame.stamp_ns, frame.frame_id, reason)

    def check_size(self, frame: Frame) -> None:
        """Refuse masks of another image.

        Args:
            frame: the image.

        Raises:
            InvalidInput: a mask has not the frame's size.
        """
        check_mask_sizes(self.items, frame)

    @property
    def scores(self) -> dict[str, float]:
        """Score of each instance by its id, best first."""
        return {pose.instance_id: pose.score for pose in self.items}

    def with_timings(self, timings_s: Mapping[str, float]) -> PoseEstimates:
        """Return the same estimates with other timings.

        Args:
            timings_s: seconds by stage.

        Returns:
            A copy.
        """
        return replace(self, timings_s=dict(timings_s))

    def __len__(self) -> int:
        return len(self.items)
