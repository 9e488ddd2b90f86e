"""Poses of objects at rest, seen by a camera that moves: fused over its views.

The poses of all views are brought into the camera of the last one and joined as ``fusion`` joins
the frames of a camera at rest. A view counts against an instance only where it should have seen it:
the object's place is in the image and nothing stands before it. Where the camera looks through that
place, nothing is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.runtime.fusion import fuse
from sam6d_ros.runtime.settle import settled, settled_by_depth
from sam6d_ros.runtime.sight import Judge, Sight, View
from sam6d_ros.stages.accept import Acceptance, accept
from sam6d_ros.types import Alternative, PoseEstimate, PoseEstimates

Array = NDArray[np.float64]

# A view that does not show the handle gives each of several turns of a mug a low probability.
VIEW_MIN_SCORE = 0.1
KEPT_CONTRADICTIONS = 0.5  # share of the judging views that may contradict an instance


def limits_of_a_view(acceptance: Acceptance) -> Acceptance:
    """Return the limits of a single view that is to be fused: unsure poses pass, others decide.

    Args:
        acceptance: limits of the fused result.
    """
    by_object = {
        name: replace(own, min_score=_lowered(own.min_score))
        for name, own in acceptance.by_object.items()
    }
    low = min(acceptance.min_score, VIEW_MIN_SCORE)
    return replace(acceptance, min_score=low, by_object=by_object)


def _lowered(min_score: float | None) -> float | None:
    return None if min_score is None else min(min_score, VIEW_MIN_SCORE)


def fuse_views(
    views: Sequence[View],
    models: Mapping[str, ObjectModel],
    acceptance: Acceptance | None = None,
) -> PoseEstimates:
    """Join the poses of several views; the order of the views does not matter but for the last.

    A pose with alternatives is exchanged for the one that most views support: a mug whose handle
    is hidden in one view gets the turn that another view shows. Where poses of one place still
    differ, each is exchanged for the one that the depth of all views confirms best.

    Args:
        views: what was found; the result is in the camera of the last one.
        models: the objects by name.
        acceptance: limits of the result; by default every instance is returned.

    Returns:
        Poses best first. The score of an instance is the mean over the views that can judge it, 0
        where one should have seen it and did not; ``presence`` the share of these with a pose.
        Instances that half of these views look through are left out; the reason states how many.

    Raises:
        InvalidInput: no view, or a camera pose that is no rigid transform.
        InvalidObjects: a pose is of an object that is not in ``models``.
    """
    if not views:
        raise InvalidInput("no view was given; expected at least one frame with its poses")
    cameras = [se3.check_rigid(view.fixed_from_cam, "fixed_from_cam") for view in views]
    last_from_fixed = se3.inverse(cameras[-1])
    name = views[-1].estimates.frame_id
    moved = [
        _moved(view.estimates, last_from_fixed @ camera, name, number)
        for number, (view, camera) in enumerate(zip(views, cameras, strict=True))
    ]
    judged = [Judge(view, camera, cameras[-1]) for view, camera in zip(views, cameras, strict=True)]
    fused = fuse(settled_by_depth(settled(moved, models), models, judged), models)
    kept = [
        instance
        for pose in fused.items
        if (instance := _weighed(pose, models[pose.class_id], judged)) is not None
    ]
    dropped = len(fused.items) - len(kept)
    reason = fused.reason
    if dropped:
        reason = f"{dropped} instances are where other views look through; {reason}".rstrip("; ")
    best_first = tuple(sorted(kept, key=lambda pose: -pose.score))
    last = views[-1].estimates
    out = replace(fused, items=best_first, stamp_ns=last.stamp_ns, reason=reason)
    return out if acceptance is None else accept(out, acceptance)


def _moved(
    estimates: PoseEstimates, last_from_cam: Array, frame_id: str, number: int
) -> PoseEstimates:
    """Return poses and covariances in the last camera; masks stay behind with their image."""
    items = tuple(
        replace(in_fixed_frame(pose, last_from_cam), instance_id="") for pose in estimates.items
    )
    return replace(estimates, items=items, frame_id=frame_id, stamp_ns=number, rejected=())


def in_fixed_frame(pose: PoseEstimate, last_from_cam: Array) -> PoseEstimate:
    """Return a pose with its covariance and alternatives in another frame, without its mask.

    Args:
        pose: in the camera.
        last_from_cam: (4, 4) camera in the other frame, metres.
    """
    both = np.kron(np.eye(2), last_from_cam[:3, :3])
    covariance = None if pose.covariance is None else both @ pose.covariance @ both.T
    others = tuple(
        Alternative(other.class_id, last_from_cam @ other.cam_from_obj, other.probability)
        for other in pose.alternatives
    )
    return replace(
        pose,
        cam_from_obj=last_from_cam @ pose.cam_from_obj,
        covariance=covariance,
        alternatives=others,
        mask=None,
    )


def _weighed(
    pose: PoseEstimate, model: ObjectModel, judges: Sequence[Judge]
) -> PoseEstimate | None:
    """Return the instance with its score over the views that can judge it; None if contradicted."""
    scene = RayScene(model.vertices, model.faces)
    sights = [judge.sight(pose.cam_from_obj, model, scene) for judge in judges]
    found = round(pose.presence * len(judges))
    counts = max(found, sum(sight is not Sight.HIDDEN for sight in sights))
    against = sum(sight is Sight.CONTRADICTED for sight in sights)
    if against > KEPT_CONTRADICTIONS * counts:
        return None
    total = pose.score * len(judges)
    return replace(pose, score=min(1.0, total / counts), presence=min(1.0, found / counts))


__all__ = ["Sight", "View", "fuse_views", "in_fixed_frame", "limits_of_a_view"]
