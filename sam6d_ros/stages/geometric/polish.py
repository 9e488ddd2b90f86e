"""Local improvement of poses by rendering and comparing, and jumps to look-alike poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sam6d_ros.cad.symmetry import expand
from sam6d_ros.stages.geometric.compare import compare
from sam6d_ros.stages.geometric.fit import fit_to_depth
from sam6d_ros.stages.geometric.hypotheses import Hypotheses, diverse
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.geometric.scene import SceneMaps

TURN_STEP_DEG = 30
LOOK_ALIKE_STEP = np.radians(15)  # about the axis of a round object
STEP_SHIFT, STEP_ANGLE = 0.03, np.radians(6)  # first motion of a climb: in diameters; radians
SHRINK = 0.75  # of the motion after each round
TIGHT_GATE = (0.05, 0.02)  # in diameters
FIT_ITERATIONS = 5


@dataclass(frozen=True)
class Climb:
    """Effort of a local search: rounds, motions tried per pose and round, rays per comparison."""

    rounds: int
    tries: int
    rays: int


@dataclass(frozen=True)
class Heat:
    """One heat of a race: so many start (in all, and from one group) and climb."""

    starters: int
    per_group: int
    climb: Climb

    @property
    def rays(self) -> int:
        """Rays per comparison."""
        return self.climb.rays


HEATS = (Heat(48, 6, Climb(2, 7, 250)), Heat(16, 4, Climb(3, 10, 400)))


def rescored(
    scene: SceneMaps,
    labels: NDArray[np.int32],
    kit: ObjectKit,
    hypotheses: Hypotheses,
    rays: int,
) -> Hypotheses:
    """The same poses with the scores of a comparison, best first."""
    return hypotheses.with_score(compare(scene, kit.model, labels, hypotheses, rays).score)


def race(
    scene: SceneMaps, labels: NDArray[np.int32], kit: ObjectKit, hypotheses: Hypotheses
) -> Hypotheses:
    """Improve many a little, then fewer more: what climbs best goes on. Best first."""
    for heat in HEATS:
        starters = diverse(hypotheses, kit.centre, kit.model.diameter, heat.per_group)
        starters = starters.take(np.arange(min(len(starters), heat.starters)))
        climbed = climb(scene, labels, kit, starters, heat.climb)
        settled = rescored(scene, labels, kit, settle(scene, labels, kit, climbed), heat.rays)
        hypotheses = Hypotheses.joined(climbed, settled)
    return hypotheses.with_score(hypotheses.score)


def look_alikes(kit: ObjectKit, hypotheses: Hypotheses) -> Hypotheses:
    """Every pose, and the same turned about the axes of the object's box through its centre.

    Shapes that are nearly symmetric (boxes, cans, a mug whose handle is hidden) fit equally well
    in such poses; only texture or a small part tells them apart.
    """
    axes = kit.model.obj_from_box[:3, :3].T
    angles = np.radians(np.arange(TURN_STEP_DEG, 360, TURN_STEP_DEG))
    vectors = (axes[:, None] * angles[:, None]).reshape(-1, 3)
    alike = expand(kit.model.shape_symmetries, LOOK_ALIKE_STEP)[:, :3, :3]
    turns = np.concatenate([alike, Rotation.from_rotvec(vectors).as_matrix()])
    rotation = np.einsum("nij,kjl->nkil", hypotheses.rotation, turns).reshape(-1, 3, 3)
    centres = np.repeat(
        hypotheses.rotation @ kit.centre + hypotheses.translation, len(turns), axis=0
    )
    return Hypotheses(
        rotation,
        centres - rotation @ kit.centre,
        np.repeat(hypotheses.score, len(turns)),
        np.repeat(hypotheses.region, len(turns)),
        np.repeat(hypotheses.group, len(turns)),
    )


def settle(
    scene: SceneMaps, labels: NDArray[np.int32], kit: ObjectKit, hypotheses: Hypotheses
) -> Hypotheses:
    """Fit to the depth from close by."""
    return fit_to_depth(
        scene, labels, hypotheses, kit.views, kit.model.diameter, kit.centre, kit.use_color,
        FIT_ITERATIONS, TIGHT_GATE,
    )  # fmt: skip


def with_look_alikes(
    scene: SceneMaps,
    labels: NDArray[np.int32],
    kit: ObjectKit,
    hypotheses: Hypotheses,
    keep: int,
    rays: int,
) -> Hypotheses:
    """The best ``keep`` per region among the poses and their look-alikes."""
    turned = settle(scene, labels, kit, look_alikes(kit, hypotheses))
    ranked = rescored(scene, labels, kit, turned, rays)
    return diverse(ranked, kit.centre, kit.model.diameter, keep)


def climb(
    scene: SceneMaps,
    labels: NDArray[np.int32],
    kit: ObjectKit,
    hypotheses: Hypotheses,
    effort: Climb,
) -> Hypotheses:
    """Random local search on the comparison score, the same small motions for every pose."""
    if len(hypotheses) == 0:
        return hypotheses
    rng = np.random.default_rng(0)
    best = rescored(scene, labels, kit, hypotheses, effort.rays)
    shift, angle = STEP_SHIFT * kit.model.diameter, STEP_ANGLE
    for _ in range(effort.rounds):
        trial = _perturbed(kit, best, rng.normal(size=(effort.tries, 6)), shift, angle)
        agreement = compare(scene, kit.model, labels, trial, effort.rays)
        best = _better(best, trial.with_score_unsorted(agreement.score))
        shift, angle = SHRINK * shift, SHRINK * angle
    return best.with_score(best.score)


def _perturbed(kit, poses, noise, shift, angle):  # type: ignore[no-untyped-def]
    turns = Rotation.from_rotvec(noise[:, 3:] * angle).as_matrix()
    rotation = np.einsum("kij,njl->nkil", turns, poses.rotation)
    centres = poses.rotation @ kit.centre + poses.translation
    centres = centres[:, None] + noise[:, :3] * shift
    rotation = rotation.reshape(-1, 3, 3)
    return Hypotheses(
        rotation,
        centres.reshape(-1, 3) - rotation @ kit.centre,
        np.repeat(poses.score, len(noise)),
        np.repeat(poses.region, len(noise)),
        np.repeat(poses.group, len(noise)),
    )


def _better(best: Hypotheses, trial: Hypotheses) -> Hypotheses:
    """For every pose the best of its trials, where that is an improvement."""
    count = len(best)
    winner = trial.score.reshape(count, -1).argmax(1) + np.arange(count) * (len(trial) // count)
    improved = trial.score[winner] > best.score
    index = np.where(improved, winner + count, np.arange(count))
    return Hypotheses.joined(best, trial).take(index)
