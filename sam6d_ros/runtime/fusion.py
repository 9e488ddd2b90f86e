"""One result out of several frames of objects at rest before a camera at rest.

The instances of a class are matched over the frames by where they are; the poses of one instance
are brought to one of the equivalent poses of a symmetric object, those that contradict the majority
are put aside, and the mean of the others is taken. docs/method.md has the reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.canonical import equivalent_pose
from sam6d_ros.cad.symmetry.equivalence import nearest_equivalent
from sam6d_ros.errors import InvalidInput, InvalidObjects, own_results
from sam6d_ros.geometry.pose_mean import mean_pose, scatter
from sam6d_ros.stages.accept import Acceptance, accept
from sam6d_ros.types import PoseEstimate, PoseEstimates

Array = NDArray[np.float64]

# Two solid bodies of one class are at least their smallest extent apart; half of that parts them.
SAME_PLACE_EXTENTS = 0.5
SAME_PLACE_DIAMETERS = 0.1  # but flat things are not measured better than this
AGREE_DIAMETERS = 0.1  # as far as a pose may be off and still be called right (ADD < 10 %)
AGREE_FLOOR_M = 0.005  # depth noise, for tiny objects
# Added to a covariance before it is inverted: nothing is surer than 1 µm and 1 µrad.
LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class _Sighting:
    frame: int
    pose: PoseEstimate


def fuse(frames: Sequence[PoseEstimates], models: Mapping[str, ObjectModel]) -> PoseEstimates:
    """The poses of all frames, joined into one per instance; the order of frames does not matter.

    Args:
        frames: results of several images of one camera; neither it nor the objects moved.
        models: the objects by name.

    Returns:
        Poses best first, with the newest stamp. The score is the mean over all frames, 0 where no
        pose of the instance agrees, and ``presence`` the share of frames with one.
        A covariance is unknown unless it is known for every agreeing pose.

    Raises:
        InvalidInput: no frame, or frames of several cameras.
        InvalidObjects: a pose is of an object that is not in ``models``.
    """
    cameras = {frame.frame_id for frame in frames}
    if len(cameras) != 1:
        raise InvalidInput(f"frames to fuse are of {sorted(cameras)}; expected those of one camera")
    ordered = sorted(frames, key=lambda frame: frame.stamp_ns)
    fused = []
    for model in _models_seen(ordered, models):
        sightings = [
            _Sighting(number, pose)
            for number, frame in enumerate(ordered)
            for pose in frame.items
            if pose.class_id == model.name
        ]
        apart = _distances(sightings, model)
        for members in _instances(sightings, apart):
            chosen = [sightings[i] for i in members]
            between = apart[np.ix_(members, members)]
            with own_results("fusion"):
                fused.append(_joined(chosen, between, model, len(ordered)))
    best_first = sorted(fused, key=lambda pose: -pose.score)
    last = ordered[-1]
    return replace(last, items=_with_distinct_ids(best_first), timings_s={})


def accepted_fusion(
    frames: Sequence[PoseEstimates], models: Mapping[str, ObjectModel], acceptance: Acceptance
) -> tuple[PoseEstimates, int]:
    """Return the accepted fused poses, and the number of those that too few frames agree on.

    The limits mean the same as for one frame: no pose of a lower score is returned.

    Args:
        frames: poses of each frame.
        models: objects by class id.
        acceptance: thresholds and limits.

    Raises:
        InvalidInput, InvalidObjects: as ``fuse``.
    """
    return accepted(fuse(frames, models), acceptance)


def accepted(fused: PoseEstimates, acceptance: Acceptance) -> tuple[PoseEstimates, int]:
    """Return the accepted of some fused poses, and the number of those in too few frames.

    Args:
        fused: poses of several frames.
        acceptance: thresholds and limits.
    """
    absent = sum(not acceptance.is_present(pose) for pose in fused.items)
    return accept(fused, acceptance), absent


def _models_seen(
    frames: Sequence[PoseEstimates], models: Mapping[str, ObjectModel]
) -> list[ObjectModel]:
    names = list(dict.fromkeys(pose.class_id for frame in frames for pose in frame.items))
    if unknown := [name for name in names if name not in models]:
        raise InvalidObjects(f"objects {unknown} are not loaded; loaded are {list(models)}")
    return [models[name] for name in names]


def _distances(sightings: Sequence[_Sighting], model: ObjectModel) -> Array:
    """(N, N) pose distances up to symmetry, metres; infinite for what cannot be one instance."""
    corners = model.box_corners
    poses = [sighting.pose.cam_from_obj for sighting in sightings]
    centres = np.array([(pose @ model.obj_from_box)[:3, 3] for pose in poses])
    same_place = max(
        SAME_PLACE_EXTENTS * float(model.box_size.min()), SAME_PLACE_DIAMETERS * model.diameter
    )
    out = np.full((len(poses),) * 2, np.inf)
    np.fill_diagonal(out, 0)
    for j in range(len(poses)):
        for i in range(j):
            near = np.linalg.norm(centres[i] - centres[j]) <= same_place
            if near and sightings[i].frame != sightings[j].frame:
                out[i, j] = nearest_equivalent(poses[i], poses[j], model.symmetries, corners)[1]
                out[j, i] = out[i, j]
    return out


def _instances(sightings: Sequence[_Sighting], apart: Array) -> list[list[int]]:
    """Group sightings by instance: the nearest pairs first, all members near all others.

    A finite distance between all members also means at most one sighting per frame.

    Returns:
        Indices of sightings, by instance.
    """
    member_of = {i: [i] for i in range(len(sightings))}
    pairs = np.argwhere(np.triu(np.isfinite(apart), 1))
    for i, j in pairs[np.argsort(apart[tuple(pairs.T)], kind="stable")].tolist():
        first, second = member_of[i], member_of[j]
        if first is not second and np.isfinite(apart[np.ix_(first, second)]).all():
            first.extend(second)
            member_of.update(dict.fromkeys(second, first))
    return [sorted(m) for i, m in member_of.items() if i == min(m)]


def _joined(
    members: Sequence[_Sighting], apart: Array, model: ObjectModel, frames: int
) -> PoseEstimate:
    """One instance's poses as one: those that agree with the best supported one are averaged."""
    agree_m = max(AGREE_DIAMETERS * model.diameter, AGREE_FLOOR_M)
    scores = np.array([member.pose.score for member in members])
    support = np.maximum(0, 1 - apart / agree_m) @ scores
    medoid = int(support.argmax())
    agreeing = [m.pose for m, d in zip(members, apart[medoid], strict=True) if d <= agree_m]
    reference = members[medoid].pose
    aligned = [_aligned(pose, reference, model) for pose in agreeing]
    poses = np.stack([pose.cam_from_obj for pose in aligned])
    information = _information(aligned)
    mean = mean_pose(poses, information, reference.cam_from_obj)
    covariance = None
    if all(pose.covariance is not None for pose in aligned):
        covariance = np.linalg.inv(information.sum(0)) + scatter(poses, mean) / len(poses)
        covariance = (covariance + covariance.T) / 2
    return replace(
        agreeing[-1],
        score=min(1.0, sum(pose.score for pose in agreeing) / frames),
        cam_from_obj=mean,
        covariance=covariance,
        instance_id=_common_id(agreeing),
        agreement=_mean_agreement(agreeing),
        visible=float(np.mean([pose.visible for pose in agreeing])),
        presence=len(agreeing) / frames,
    )


def _aligned(pose: PoseEstimate, reference: PoseEstimate, model: ObjectModel) -> PoseEstimate:
    """The equivalent of a pose that is nearest to the reference, with its covariance."""
    here, there = pose.cam_from_obj, reference.cam_from_obj
    motion, _ = nearest_equivalent(here, there, model.symmetries, model.box_corners)
    return equivalent_pose(pose, motion)


def _information(poses: Sequence[PoseEstimate]) -> Array:
    """(N, 6, 6) weights: inverse covariances, or the scores where one is unknown."""
    known = [pose.covariance for pose in poses if pose.covariance is not None]
    if len(known) == len(poses):
        return np.asarray(np.linalg.inv(np.stack(known) + LEAST_VARIANCE * np.eye(6)), np.float64)
    scores = np.array([pose.score for pose in poses])
    weights = scores if scores.any() else np.ones(len(poses))
    return weights[:, None, None] * np.eye(6)


def _mean_agreement(poses: Sequence[PoseEstimate]) -> dict[str, float]:
    parts = [dict(pose.agreement) for pose in poses]
    names = set.intersection(*(set(part) for part in parts))
    return {name: float(np.mean([part[name] for part in parts])) for name in sorted(names)}


def _common_id(poses: Sequence[PoseEstimate]) -> str:
    """The id that all agree on, as a tracker gives it, else none."""
    ids = {pose.instance_id for pose in poses}
    return ids.pop() if len(ids) == 1 else ""


def _with_distinct_ids(poses: Sequence[PoseEstimate]) -> tuple[PoseEstimate, ...]:
    """An id that several claim stays with the first."""
    first = Counter[str]()
    out = []
    for pose in poses:
        first[pose.instance_id] += 1
        out.append(pose if first[pose.instance_id] == 1 else replace(pose, instance_id=""))
    return tuple(out)
