"""What stands around an instance: it says whether a pose is right as much as the pose itself.

Another name on the same pixels makes it less probable. Instances of the same name elsewhere, as in
a bin, make it more probable. Many rotations that fit equally make it less probable: their odds
are added, though all are read from the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.features import Features

Array = NDArray[np.float64]

OF_POSE = ("crease", "log_pixels", "visible")  # features of the best pose that count once more
SURROUNDINGS = (
    "log_odds",  # that one of the poses is right, by the poses alone
    "rivals",  # logarithm of 1 + the odds of other names on the same pixels
    "siblings",  # logarithm of 1 + the number of probable instances of this name elsewhere
    "turns",  # logarithm of the number of poses that share the odds, 1 / Σ share²
    *OF_POSE,
)
SAME_SHARE = 0.5  # of the smaller one's cells: two instances explain the same pixels
ELSEWHERE_SHARE = 0.2  # below it, two instances lie in different places
MAX_SIBLINGS = 4
MAX_LOG_ODDS = 9.0  # of one rival; training shows no more certainty
MAX_POSE_LOG_ODDS = 15.0


@dataclass(frozen=True)
class Instances:
    """N instances of one frame, of all names.

    Attributes:
        names: N class ids.
        log_odds: (N,) that one of the poses of an instance is right, by the poses alone.
        turns: (N,) logarithm of the number of poses that share these odds.
        cells: (N, M) bool, cells of a common pixel grid that the best pose explains.
        of_pose: (N, len(OF_POSE)) of the best pose.
    """

    names: tuple[str, ...]
    log_odds: Array
    turns: Array
    cells: NDArray[np.bool_]
    of_pose: Array

    def __len__(self) -> int:
        return len(self.names)


def together(log_odds: Array) -> tuple[float, float]:
    """Return the log odds that one of the poses of an instance is right, and their `turns`.

    Args:
        log_odds: (K,) of different poses, of which one at most is right.
    """
    odds = np.exp(np.clip(log_odds, -MAX_POSE_LOG_ODDS, MAX_POSE_LOG_ODDS))
    share = odds / odds.sum()
    return float(np.log(odds.sum())), float(-np.log((share**2).sum()))


def pose_columns(features: Features, row: int) -> Array:
    """Return the features OF_POSE of one pose.

    Args:
        features: of several poses.
        row: number of the pose.
    """
    return np.array([features[name][row] for name in OF_POSE])


def surroundings(found: Instances) -> Array:
    """Return (N, len(SURROUNDINGS)) for the judge of instances.

    Args:
        found: all instances of a frame.
    """
    if not len(found):
        return np.zeros((0, len(SURROUNDINGS)))
    cells = found.cells.astype(np.float32)
    area = np.maximum(cells.sum(1), 1)
    shared = (cells @ cells.T) / np.minimum(area[:, None], area[None])
    names = np.array(found.names)
    same_name = names[:, None] == names[None]
    odds = np.exp(np.clip(found.log_odds, -MAX_LOG_ODDS, MAX_LOG_ODDS))
    rivals = np.log1p(((shared > SAME_SHARE) & ~same_name) @ odds)
    elsewhere = (shared < ELSEWHERE_SHARE) & same_name & ~np.eye(len(found), dtype=bool)
    siblings = np.log1p(np.minimum((elsewhere & (found.log_odds > 0)).sum(1), MAX_SIBLINGS))
    return np.column_stack([found.log_odds, rivals, siblings, found.turns, found.of_pose])
