"""Acceptance of estimates: thresholds, instance limits, one owner per pixel.

The only place that decides which estimates are returned. Every backend's poses pass through it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.errors import InvalidInput
from sam6d_ros.types import PoseEstimate, PoseEstimates, Rejection

CLAIMED_SHARE = 0.5  # of a pose's pixels owned by better poses: it explains nothing new


@dataclass(frozen=True)
class Acceptance:
    """Limits of one call.

    Attributes:
        min_score: estimates that score lower are not returned, in [0, 1].
        by_object: settings of single objects by name; what they state goes before the rest.
        max_instances: largest number of instances of one object, 1 or more.
        min_presence: of several fused frames, an instance with an agreeing pose in a smaller share
            is not returned, in [0, 1]. The presence of an instance of a single frame is 1.
        canonical: whether the pose of a symmetric object is replaced by the canonical one of the
            equivalent poses (``cad.canonical``).

    Raises:
        InvalidInput: a value is out of its range.
    """

    min_score: float
    by_object: Mapping[str, ObjectSettings] = field(default_factory=dict)
    max_instances: int = 3
    min_presence: float = 0.5  # the majority of the frames
    canonical: bool = True

    def __post_init__(self) -> None:
        for name in ("min_score", "min_presence"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; expected a number in [0, 1]")
        if self.max_instances < 1:
            raise InvalidInput(f"max_instances is {self.max_instances}; expected 1 or more")

    def min_score_of(self, name: str) -> float:
        """Return the threshold that applies to an object.

        Args:
            name: class id of the object.
        """
        own = self._settings(name).min_score
        return self.min_score if own is None else own

    def max_instances_of(self, name: str) -> int:
        """Return the largest number of instances of an object.

        Args:
            name: class id of the object.
        """
        own = self._settings(name).max_instances
        return self.max_instances if own is None else own

    def is_present(self, pose: PoseEstimate) -> bool:
        """Return whether enough of the fused frames agree on an instance.

        Args:
            pose: the fused instance.
        """
        return pose.presence >= self.min_presence

    def owner_of(self, limit: str, name: str) -> str:
        """Return the name of a limit as it applies to an object, for messages.

        Args:
            limit: name of the setting.
            name: class id of the object.
        """
        own = getattr(self._settings(name), limit)
        return limit if own is None else f"{limit} of {name!r}"

    def _settings(self, name: str) -> ObjectSettings:
        return self.by_object.get(name, ObjectSettings())


def accept(
    estimates: PoseEstimates, acceptance: Acceptance, exclusive_pixels: bool = False
) -> PoseEstimates:
    """Return the estimates to be handed out, best first.

    Args:
        estimates: refined poses in any order, at most one per instance.
        acceptance: thresholds and limits.
        exclusive_pixels: reject a pose most of whose mask belongs to better instances. An
            instance owns its pixels if one of its poses is probable enough, so that an object in
            an uncertain rotation is not returned under another name. A pose without mask owns no
            pixel.

    Returns:
        The accepted estimates; ``rejected`` has the others, each with the threshold that rejected
        it. When all were rejected, ``reason`` names the best one and its threshold.
    """
    ranked = sorted(estimates.items, key=lambda pose: (-pose.any_right, -pose.score))
    accepted, rejected = _Accepted(acceptance, exclusive_pixels), []
    for pose in ranked:
        reason = accepted.obstacle(pose)
        if reason:
            rejected.append(Rejection(pose.class_id, pose.instance_id, pose.score, reason))
            if accepted.is_uncertain(pose):
                accepted.own(pose)
        else:
            accepted.add(pose)
    best_first = sorted(accepted.items, key=lambda pose: -pose.score)
    reason = estimates.reason if not ranked else ""
    if ranked and not accepted.items:
        reason = _summary([pose for pose in ranked if acceptance.is_present(pose)], acceptance)
    return replace(estimates, items=tuple(best_first), reason=reason, rejected=tuple(rejected))


class _Accepted:
    """Estimates accepted so far, with what they leave to the next one."""

    def __init__(self, acceptance: Acceptance, exclusive_pixels: bool) -> None:
        self._acceptance, self._exclusive_pixels = acceptance, exclusive_pixels
        self.items: list[PoseEstimate] = []
        self._count: Counter[str] = Counter()
        self._owned: NDArray[np.bool_] | None = None

    def obstacle(self, pose: PoseEstimate) -> str:
        """Return the threshold that rejects an estimate; empty if none does."""
        limits, name = self._acceptance, pose.class_id
        if not limits.is_present(pose):
            least = f"{limits.min_presence:.0%}"
            return f"is in {pose.presence:.0%} of the frames; min_presence is {least}"
        if pose.score < limits.min_score_of(name):
            return _low_score(pose, limits)
        most = limits.max_instances_of(name)
        if self._count[name] >= most:
            whose = limits.owner_of("max_instances", name)
            better = "1 better instance" if most == 1 else f"{most} better instances"
            return f"{better} of {name!r} accepted before; {whose} is {most}"
        if self._is_claimed(pose):
            claimed = self._claimed_share(pose)
            return (
                f"{claimed:.0%} of its pixels belong to better poses; the limit is "
                f"{CLAIMED_SHARE:.0%}"
            )
        return ""

    def add(self, pose: PoseEstimate) -> None:
        """Accept an estimate."""
        self.items.append(pose)
        self._count[pose.class_id] += 1
        self.own(pose)

    def is_uncertain(self, pose: PoseEstimate) -> bool:
        """Return whether the object is there, and each of its poses alone scores too little."""
        least = self._acceptance.min_score_of(pose.class_id)
        is_there = self._acceptance.is_present(pose) and pose.score < least <= pose.any_right
        return is_there and not self._is_claimed(pose)

    def own(self, pose: PoseEstimate) -> None:
        """Keep the pixels of an estimate from the next ones."""
        if self._exclusive_pixels and pose.mask is not None:
            self._owned = pose.mask if self._owned is None else self._owned | pose.mask

    def _is_claimed(self, pose: PoseEstimate) -> bool:
        return self._claimed_share(pose) > CLAIMED_SHARE

    def _claimed_share(self, pose: PoseEstimate) -> float:
        if not self._exclusive_pixels or pose.mask is None or self._owned is None:
            return 0.0
        return float((pose.mask & self._owned).sum() / max(1, pose.mask.sum()))


def _summary(present: Sequence[PoseEstimate], acceptance: Acceptance) -> str:
    """Return the reason of an empty result: the best pose and its threshold."""
    if not present:
        return f"no instance is in {acceptance.min_presence:.0%} of the frames"
    best = max(present, key=lambda pose: pose.score)
    return f"best pose ({best.class_id!r}) {_low_score(best, acceptance)}"


def _low_score(pose: PoseEstimate, acceptance: Acceptance) -> str:
    whose = acceptance.owner_of("min_score", pose.class_id)
    return f"scores {pose.score:.2f}; {whose} is {acceptance.min_score_of(pose.class_id):.2f}"
