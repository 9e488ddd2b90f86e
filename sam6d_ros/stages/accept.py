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
from sam6d_ros.types import PoseEstimate, PoseEstimates

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

    Raises:
        InvalidInput: a value is out of its range.
    """

    min_score: float
    by_object: Mapping[str, ObjectSettings] = field(default_factory=dict)
    max_instances: int = 3
    min_presence: float = 0.5  # the majority of the frames

    def __post_init__(self) -> None:
        for name in ("min_score", "min_presence"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; expected a number in [0, 1]")
        if self.max_instances < 1:
            raise InvalidInput(f"max_instances is {self.max_instances}; expected 1 or more")

    def min_score_of(self, name: str) -> float:
        """Return the threshold that applies to an object."""
        own = self._settings(name).min_score
        return self.min_score if own is None else own

    def max_instances_of(self, name: str) -> int:
        """Return the largest number of instances of an object."""
        own = self._settings(name).max_instances
        return self.max_instances if own is None else own

    def is_present(self, pose: PoseEstimate) -> bool:
        """Return whether enough of the fused frames agree on an instance."""
        return pose.presence >= self.min_presence

    def _settings(self, name: str) -> ObjectSettings:
        return self.by_object.get(name, ObjectSettings())


def accept(
    estimates: PoseEstimates, acceptance: Acceptance, exclusive_pixels: bool = False
) -> PoseEstimates:
    """Return the estimates to be handed out, best first.

    Args:
        estimates: refined poses in any order, at most one per instance.
        acceptance: thresholds and limits.
        exclusive_pixels: reject a pose most of whose mask belongs to better accepted poses. A
            pose without mask owns no pixel.

    Returns:
        The accepted estimates. When all were rejected, ``reason`` names the best one and the
        threshold that rejected it.
    """
    ranked = sorted(estimates.items, key=lambda pose: -pose.score)
    present = [pose for pose in ranked if acceptance.is_present(pose)]
    accepted: list[PoseEstimate] = []
    count: Counter[str] = Counter()
    owned: NDArray[np.bool_] | None = None
    for pose in present:
        name = pose.class_id
        if pose.score < acceptance.min_score_of(name):
            continue
        if count[name] >= acceptance.max_instances_of(name):
            continue
        if exclusive_pixels and pose.mask is not None:
            owned = np.zeros_like(pose.mask) if owned is None else owned
            if (pose.mask & owned).sum() > CLAIMED_SHARE * pose.mask.sum():
                continue
            owned |= pose.mask
        count[name] += 1
        accepted.append(pose)
    reason = estimates.reason if not ranked else ""
    if ranked and not accepted:
        reason = _rejection(present, acceptance)
    return replace(estimates, items=tuple(accepted), reason=reason)


def _rejection(present: Sequence[PoseEstimate], acceptance: Acceptance) -> str:
    """Reason of an empty result: the best pose and its threshold."""
    if not present:
        return f"no instance is in {acceptance.min_presence:.0%} of the frames"
    best = present[0]
    own = acceptance.by_object.get(best.class_id, ObjectSettings()).min_score is not None
    whose = f"min_score of {best.class_id!r}" if own else "min_score"
    return (
        f"best pose ({best.class_id!r}) scores {best.score:.2f}; "
        f"{whose} is {acceptance.min_score_of(best.class_id):.2f}"
    )
