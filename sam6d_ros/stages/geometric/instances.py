"""Instances among judged candidates: poses that explain the same pixels are alternatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.evidence import Evidence
from sam6d_ros.stages.geometric.examine import cast_poses, extent
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.judge import exclusive
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.geometric.same_pose import without_equals

Array = NDArray[np.float64]

CLAIM_PX, SMALL_CLAIM_PX, SMALL_PX = (
    4,
    2,
    64,
)  # pixels between claimed ones; of a small object
SAME_SHARE = 0.5  # of a pose's pixels explained by a better one: the same instance
MIN_PIXELS = 50  # explained, at the working size
POSES_PER_INSTANCE = 8  # alternatives, and the best one


@dataclass(frozen=True)
class Instance:
    """One instance with the poses that explain its pixels.

    Attributes:
        poses: (K, 4, 4) cam_from_obj, most probable first.
        probability: (K,) of each, if one at most is right.
    """

    poses: Array
    probability: Array

    @property
    def any_right(self) -> float:
        """Probability that one of the poses is right."""
        return float(self.probability.sum())


def instances_of(
    view: Evidence,
    kit: ObjectKit,
    found: Hypotheses,
    probability: Array,
    limit: int,
    least: float = 0.0,
) -> list[Instance]:
    """Group candidates by the pixels they explain; the most probable instances, best first.

    Args:
        found: N candidates of one object.
        probability: (N,) of each by itself.
        limit: largest number of instances.
        least: probability below which an instance is not returned.
        view: maps of the frame.
        kit: views of the object.

    Returns:
        The instances.
    """
    chosen = _hopeful(kit, found, probability, least)
    found, probability = found.take(chosen), probability[chosen]
    step, claims = explained_pixels(view, kit, found)
    groups: list[list[int]] = []
    for index in np.argsort(-probability, kind="stable"):
        mine = claims[index]
        if len(mine) * step * step < MIN_PIXELS:
            continue
        owner = _owner(mine, [claims[group[0]] for group in groups])
        if owner is not None:
            groups[owner].append(int(index))
        else:
            groups.append([int(index)])
    kept = [_different(kit, found, group) for group in groups]
    made = [Instance(found.poses[group], exclusive(probability[group])) for group in kept]
    made = [item for item in made if item.any_right >= least]
    return sorted(made, key=lambda instance: -instance.any_right)[:limit]


def _hopeful(
    kit: ObjectKit, found: Hypotheses, probability: Array, least: float
) -> NDArray[np.int64]:
    """Return the indices of the candidates that can be part of an instance that is returned.

    An instance has a pose of ``least / POSES_PER_INSTANCE`` or more, and two poses that explain the
    same pixels lie within a diameter of each other.
    """
    centres = found.centres(kit.centre)
    heads = centres[probability * POSES_PER_INSTANCE >= least]
    gap = np.linalg.norm(centres[:, None] - heads[None], axis=2).min(1, initial=np.inf)
    return np.flatnonzero(gap < kit.model.diameter)


def _different(kit: ObjectKit, found: Hypotheses, group: list[int]) -> list[int]:
    """Return the first poses of an instance that differ from each other."""
    index = without_equals(kit.model, found.poses[group])
    return [group[i] for i in index[:POSES_PER_INSTANCE]]


def _owner(mine: NDArray[np.int64], claims: list[NDArray[np.int64]]) -> int | None:
    """Return the first better pose that explains most of these pixels."""
    for index, other in enumerate(claims):
        shared = len(np.intersect1d(mine, other, assume_unique=True))
        if shared > SAME_SHARE * min(len(mine), len(other)):
            return index
    return None


def explained_pixels(
    view: Evidence, kit: ObjectKit, found: Hypotheses
) -> tuple[int, list[NDArray[np.int64]]]:
    """Return the step of a coarse pixel grid, and the cells that each pose explains.

    Args:
        view: maps of the frame.
        kit: views of the object.
        found: N hypotheses.
    """
    scene = view.scene
    low, high = extent(view, kit.model, found)
    small = len(found) > 0 and np.median((high - low).max(1)) < SMALL_PX
    step = SMALL_CLAIM_PX if small else CLAIM_PX
    first = np.maximum(np.floor(low / step), 0)
    last = np.minimum(
        np.ceil(high / step), (scene.camera.width // step, scene.camera.height // step)
    )
    count = np.maximum(last - first + 1, 1)
    grids = np.column_stack([first * step, np.full(len(found), step), count])
    rays = cast_poses(view, kit.model, found, grids)
    tolerance = 2 * view.placement(kit.model, found.rotation, found.translation).loose
    claims = []
    for index in range(len(found)):
        cells = slice(rays.offsets[index], rays.offsets[index + 1])
        columns = int(count[index, 0])
        v, u = np.divmod(np.flatnonzero(rays.face[cells] >= 0), columns)
        z = rays.distance[cells][v * columns + u]
        u, v = u + int(first[index, 0]), v + int(first[index, 1])
        inside = (u * step < scene.camera.width) & (v * step < scene.camera.height)
        u, v, z = u[inside], v[inside], z[inside]
        depth = scene.depth[v * step, u * step]
        near = (depth > 0) & (np.abs(depth - z) < tolerance[index])
        claims.append((v[near] * scene.camera.width + u[near]).astype(np.int64))
    return step, claims
