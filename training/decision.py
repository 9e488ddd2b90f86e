"""Decision of a scene from its candidates, as the backend and ``stages.accept`` make it.

Candidates of one object that explain the same pixels are one instance; at most one of them is
right, so that their odds compete. Then pixels are claimed, the most probable instance first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.evaluation.statistics import Rate, average_precision, calibration_error
from sam6d_ros.stages.accept import CLAIMED_SHARE
from sam6d_ros.stages.geometric.instances import POSES_PER_INSTANCE, SAME_SHARE
from sam6d_ros.stages.geometric.judge import exclusive
from training.files import Candidates
from training.labels import RIGHT

MIN_VISIBLE = {"table": 0.2, "bin": 0.3, "heap": 0.3}  # instances seen less count neither way
MAX_INSTANCES = {"table": 1, "bin": 30, "heap": 4}  # as many as there can be, as in `sam6d eval`
MIN_PROBABILITY = 0.02  # of a detection of the backend
MIN_CELLS = 3  # of the quarter-size mask

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """Poses that stand after claims, at threshold 0.

    Attributes:
        probability: (K,) in [0, 1].
        right: (K,) bool.
        scene: (K,) int64, index of the scene.
        row: (K,) int64, index of the candidate in its scene.
        positives: instances that count.
    """

    probability: Array
    right: NDArray[np.bool_]
    scene: NDArray[np.int64]
    row: NDArray[np.int64]
    positives: int

    def at(self, threshold: float) -> tuple[Rate, Rate]:
        """Return recall and precision at a threshold."""
        kept = self.probability >= threshold
        right = int(self.right[kept].sum())
        return Rate(right, self.positives), Rate(right, int(kept.sum()))

    @property
    def average_precision(self) -> float:
        """Area under precision over recall."""
        return average_precision(self.probability, self.right, self.positives)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over ten bins of equal width."""
        return calibration_error(self.probability, self.right)


class Pixels:
    """Explained pixels of a scene's candidates."""

    def __init__(self, scene: Candidates) -> None:
        self.cells = np.unpackbits(scene.masks, axis=1).astype(bool)
        self.area = self.cells.sum(1)
        cells = self.cells.astype(np.float32)
        shared = cells @ cells.T
        least = SAME_SHARE * np.minimum(self.area[:, None], self.area[None])
        self.same = (shared > least) & (scene.name[:, None] == scene.name[None])


def groups(scene: Candidates, pixels: Pixels, alone: Array) -> list[list[int]]:
    """Return the different poses of each instance, most probable first.

    Of equal poses the most probable one stays.
    """
    out: list[list[int]] = []
    head = np.full(len(alone), -1)  # group of each head
    for row in np.argsort(-alone, kind="stable").tolist():
        if pixels.area[row] < MIN_CELLS:
            continue
        owner = head[np.flatnonzero(pixels.same[row] & (head >= 0))]
        if not len(owner):
            head[row] = len(out)
            out.append([row])
        elif not scene.equal[row, out[owner.min()]].any():
            out[owner.min()].append(row)
    return [group[:POSES_PER_INSTANCE] for group in out]


def instances(scene: Candidates, pixels: Pixels, alone: Array) -> list[tuple[int, float]]:
    """Return the best candidate of each instance and its probability, most probable first."""
    shares = [(group[0], exclusive(alone[group])) for group in groups(scene, pixels, alone)]
    shares.sort(key=lambda item: -item[1].sum())
    return [(row, float(probability[0])) for row, probability in shares]


def stand(scene: Candidates, pixels: Pixels, found: list[tuple[int, float]]) -> list[int]:
    """Return the positions of the instances that own most of their pixels."""
    owned = np.zeros(pixels.cells.shape[1], bool)
    count: Counter[str] = Counter()
    out = []
    for position, (row, _) in enumerate(found):
        name, cells = str(scene.name[row]), pixels.cells[row]
        if count[name] >= limit(scene.domain):
            continue
        if (cells & owned).sum() > CLAIMED_SHARE * pixels.area[row]:
            continue
        owned |= cells
        count[name] += 1
        out.append(position)
    return out


def standing(
    scenes: Sequence[Candidates],
    pixels: Sequence[Pixels],
    instances_of: Sequence[list[tuple[int, float]]],
) -> Standing:
    """Decide each scene; of several poses of an instance the most probable counts.

    Args:
        scenes: candidates of each scene.
        pixels: that the candidates of each scene explain.
        instances_of: of each scene, the best candidate of each instance and its probability, in
            the order in which they claim pixels.

    Returns:
        The poses that stand, of all scenes.
    """
    rows: list[tuple[float, bool, int, int]] = []
    positives = 0
    for index, (scene, seen, every) in enumerate(zip(scenes, pixels, instances_of, strict=True)):
        counted = scene.visibility >= min_visible(scene.domain)
        positives += int(counted.sum())
        found = [item for item in every if item[1] >= MIN_PROBABILITY]
        used: set[int] = set()
        for position in stand(scene, seen, found):
            row, probability = found[position]
            instance = int(scene.instance[row])
            hit = bool(scene.error[row] < RIGHT) and instance not in used
            if hit:
                used.add(instance)
                if not counted[instance]:
                    continue
            rows.append((probability, hit, index, row))
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    return Standing(
        np.array(columns[0], np.float64),
        np.array(columns[1], bool),
        np.array(columns[2], np.int64),
        np.array(columns[3], np.int64),
        positives,
    )


def min_visible(domain: str) -> float:
    """Return the visibility from which an instance of a domain counts."""
    return next((least for name, least in MIN_VISIBLE.items() if name in domain), 0.1)


def limit(domain: str) -> int:
    """Return the largest number of instances of an object in a scene of a domain."""
    return next((most for name, most in MAX_INSTANCES.items() if name in domain), 1)
