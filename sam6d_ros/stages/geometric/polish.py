"""Local improvement of poses by rendering and comparing, and jumps to look-alike poses."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from sam6d_ros.stages.geometric.candidates import rescored
from sam6d_ros.stages.geometric.compare import compare
from sam6d_ros.stages.geometric.fit import fit_to_depth
from sam6d_ros.stages.geometric.library import ObjectKit
from sam6d_ros.stages.geometric.scene import SceneMaps
from sam6d_ros.stages.geometric.search import Hypotheses, diverse

TURN_STEP_DEG = 30
ROUNDS = 7
TRIES = 16  # per pose and round
START_SHIFT, START_ANGLE = 0.03, np.radians(6)  # in diameters; radians
SHRINK = 0.75  # of the step after each round
TIGHT_GATE = (0.05, 0.02)  # in diameters
FIT_ITERATIONS = 5


def look_alikes(kit: ObjectKit, hypotheses: Hypotheses) -> Hypotheses:
    """Every pose, and the same turned about the axes of the object's box through its centre.

    Shapes that are nearly symmetric (boxes, cans, a mug whose handle is hidden) fit equally well
    in such poses; only texture or a small part tells them apart.
    """
    axes = kit.model.obj_from_box[:3, :3].T
    angles = np.radians(np.arange(TURN_STEP_DEG, 360, TURN_STEP_DEG))
    vectors = (axes[:, None] * angles[:, None]).reshape(-1, 3)
    turns = np.concatenate([np.eye(3)[None], Rotation.from_rotvec(vectors).as_matrix()])
    rotation = np.einsum("nij,kjl->nkil", hypotheses.rotation, turns).reshape(-1, 3, 3)
    centres = np.repeat(
        hypotheses.rotation @ kit.centre + hypotheses.translation, len(turns), axis=0
    )
    return Hypotheses(
        rotation,
        centres - rotation @ kit.centre,
        np.repeat(hypotheses.score, len(turns)),
        np.repeat(hypotheses.region, len(turns)),
    )


def settle(scene: SceneMaps, kit: ObjectKit, hypotheses: Hypotheses) -> Hypotheses:
    """Fit to the depth from close by."""
    return fit_to_depth(
        scene, hypotheses, kit.views, kit.model.diameter, kit.centre, kit.use_color,
        FIT_ITERATIONS, TIGHT_GATE,
    )  # fmt: skip


def with_look_alikes(
    scene: SceneMaps, kit: ObjectKit, hypotheses: Hypotheses, keep: int, rays: int
) -> Hypotheses:
    """The best ``keep`` per region among the poses and their look-alikes."""
    turned = settle(scene, kit, look_alikes(kit, hypotheses))
    ranked = rescored(scene, kit, turned, rays)
    return diverse(ranked, kit.centre, kit.model.diameter, keep)


def climb(scene: SceneMaps, kit: ObjectKit, hypotheses: Hypotheses, rays: int) -> Hypotheses:
    """Random local search on the comparison score, the same small motions for every pose."""
    rng = np.random.default_rng(0)
    best = rescored(scene, kit, hypotheses, rays)
    shift, angle = START_SHIFT * kit.model.diameter, START_ANGLE
    for _ in range(ROUNDS):
        trial = _perturbed(kit, best, rng.normal(size=(TRIES, 6)), shift, angle)
        agreement = compare(scene, kit.model, trial.rotation, trial.translation, rays)
        best = _better(best, trial.with_score_unsorted(agreement.score))
        shift, angle = SHRINK * shift, SHRINK * angle
    return best.take(np.argsort(-best.score))


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
    )


def _better(best: Hypotheses, trial: Hypotheses) -> Hypotheses:
    """For every pose the best of its trials, where that is an improvement."""
    count = len(best)
    winner = trial.score.reshape(count, -1).argmax(1) + np.arange(count) * (len(trial) // count)
    improved = trial.score[winner] > best.score
    index = np.where(improved, winner + count, np.arange(count))
    return Hypotheses.joined(best, trial).take(index)
