"""Ambiguous poses of several views: each takes the alternative that the others support.

A second step compares the poses that views give for one place by the depth of all views.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.equivalence import nearest_equivalent
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.runtime.fusion import AGREE_DIAMETERS
from sam6d_ros.runtime.sight import Judge
from sam6d_ros.types import Alternative, PoseEstimate, PoseEstimates

SAME_PLACE_DIAMETERS = 0.25  # between the middles of two poses of one instance
UNSURE = 0.1  # probability that a view names none of the poses that are right
MARGIN = 0.02  # of the agreement with depth, by which another pose must be better
# An exchanged pose is no measurement of its own: it hardly weighs in the mean and the covariance.
EXCHANGED_VARIANCE = 1e6


def settled(
    views: Sequence[PoseEstimates], models: Mapping[str, ObjectModel]
) -> list[PoseEstimates]:
    """Exchange poses for those of their alternatives that the other views support more.

    Args:
        views: poses and alternatives in one common camera.
        models: the objects by name.

    Returns:
        The views, with exchanged poses.
    """
    hypotheses = [[_hypotheses(pose) for pose in view.items] for view in views]
    out = []
    for number, view in enumerate(views):
        others = [pose for i, found in enumerate(hypotheses) if i != number for pose in found]
        items = tuple(_settled(pose, others, models.get(pose.class_id)) for pose in view.items)
        out.append(replace(view, items=items))
    return out


def _hypotheses(pose: PoseEstimate) -> list[Alternative]:
    """Return a pose and its alternatives of the same object."""
    same = [other for other in pose.alternatives if other.class_id == pose.class_id]
    return [Alternative(pose.class_id, pose.cam_from_obj, pose.score), *same]


def _settled(
    pose: PoseEstimate, others: Sequence[list[Alternative]], model: ObjectModel | None
) -> PoseEstimate:
    own = _hypotheses(pose)
    if model is None or len(own) == 1:
        return pose
    probability = _posterior(own, others, model)
    order = np.argsort(-probability, kind="stable").tolist()
    best = order[0]
    rest = tuple(own[i]._replace(probability=float(probability[i])) for i in order[1:])
    foreign = tuple(other for other in pose.alternatives if other.class_id != pose.class_id)
    return replace(
        pose,
        cam_from_obj=own[best].cam_from_obj,
        score=float(probability[best]),
        alternatives=(*rest, *foreign),
    )


def _posterior(
    own: Sequence[Alternative], others: Sequence[list[Alternative]], model: ObjectModel
) -> NDArray[np.float64]:
    """Return the probability (K,) of each hypothesis of a view, given those of the other views.

    Their sum, that one of them is right, stays that of the view (naive Bayes).
    """
    prior = np.array([one.probability for one in own])
    weight = prior.copy()
    for other in others:
        support = np.array([_support(one, other, model) for one in own])
        if support.max() > 0:
            weight *= UNSURE + support
    total: NDArray[np.float64] = weight * min(1.0, float(prior.sum())) / max(weight.sum(), 1e-300)
    return total


def _support(one: Alternative, instance: list[Alternative], model: ObjectModel) -> float:
    """Return the probability that another view gives to about the same pose."""
    reach = AGREE_DIAMETERS * model.diameter
    best = 0.0
    for other in instance:
        if other.class_id != one.class_id:
            continue
        poses = (one.cam_from_obj, other.cam_from_obj)
        apart = float(nearest_equivalent(*poses, model.symmetries, model.box_corners)[1])
        best = max(best, other.probability * max(0.0, 1 - apart / reach))
    return best


def settled_by_depth(
    views: Sequence[PoseEstimates], models: Mapping[str, ObjectModel], judges: Sequence[Judge]
) -> list[PoseEstimates]:
    """Exchange poses for those of other views that the depth of all views confirms better.

    Args:
        views: poses in the last camera.
        models: the objects by name.
        judges: the same views.

    Returns:
        The views, with exchanged poses.
    """
    poses = [pose for view in views for pose in view.items if pose.class_id in models]
    chosen = {id(pose): pose for view in views for pose in view.items}
    for name in dict.fromkeys(pose.class_id for pose in poses):
        same = [pose for pose in poses if pose.class_id == name]
        depth = _Depth(models[name], judges)
        for pose in same:
            chosen[id(pose)] = depth.best(pose, same)
    return [replace(view, items=tuple(chosen[id(pose)] for pose in view.items)) for view in views]


class _Depth:
    """Comparison of poses of one object by the depth of all views."""

    def __init__(self, model: ObjectModel, judges: Sequence[Judge]) -> None:
        self._model, self._judges = model, judges
        self._scene = RayScene(model.vertices, model.faces)
        self._known: dict[int, float] = {}

    def best(self, pose: PoseEstimate, others: Sequence[PoseEstimate]) -> PoseEstimate:
        """Return a pose, or another one of its place that is confirmed better."""
        rivals = [other for other in others if self._is_rival(pose, other)]
        if not rivals:
            return pose
        better = max(rivals, key=self._agreement)
        if self._agreement(better) <= self._agreement(pose) + MARGIN:
            return pose
        covariance = None if pose.covariance is None else EXCHANGED_VARIANCE * pose.covariance
        own = Alternative(pose.class_id, pose.cam_from_obj, pose.score)
        alternatives = (own, *pose.alternatives)
        return replace(
            pose,
            cam_from_obj=better.cam_from_obj,
            covariance=covariance,
            alternatives=alternatives,
        )

    def _is_rival(self, pose: PoseEstimate, other: PoseEstimate) -> bool:
        """Whether two poses are of one place, but differ."""
        model, poses = self._model, (pose.cam_from_obj, other.cam_from_obj)
        middles = [(one @ model.obj_from_box)[:3, 3] for one in poses]
        if np.linalg.norm(middles[0] - middles[1]) > SAME_PLACE_DIAMETERS * model.diameter:
            return False
        apart = float(nearest_equivalent(*poses, model.symmetries, model.box_corners)[1])
        return apart > AGREE_DIAMETERS * model.diameter

    def _agreement(self, pose: PoseEstimate) -> float:
        key = id(pose)
        if key not in self._known:
            self._known[key] = self._measured(pose.cam_from_obj)
        return self._known[key]

    def _measured(self, last_from_obj: NDArray[np.float64]) -> float:
        shares = [
            judge.agreement(last_from_obj, self._model, self._scene) for judge in self._judges
        ]
        known = [share for share in shares if share is not None]
        return float(np.mean(known)) if known else -1.0
