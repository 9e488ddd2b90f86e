"""Follows known instances from frame to frame by fitting their rendered surface to the frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.stages.geometric.compare import compare, depth_tolerance
from sam6d_ros.stages.geometric.covariance import (
    POINTS_PER_SAMPLE,
    PRIOR_ANGLE,
    PRIOR_SHIFT,
    SENSOR_BASE_M,
    SENSOR_PER_M2,
)
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.track_kernel import align
from sam6d_ros.stages.geometric.track_view import Surface, Window, surface_seen, window_around
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates

Array = NDArray[np.float64]

MAX_POINTS = 1500  # of the surface that are fitted
GATES = (3.0, 3.0, 2.5, 2.0, 2.0, 1.5, 1.5, 1.5)  # per iteration, in depth tolerances
COLOR_WEIGHT = 0.05
RIM_WEIGHT = 0.5
MAX_RIM = 120
TIE_SHIFT, TIE_ANGLE = 0.05, np.radians(8)  # standard deviation of the prediction: diameters, rad
LOOK_AGAIN_SHIFT, LOOK_AGAIN_ANGLE = 0.06, np.radians(4)  # moved so far, it shows other points
JUDGE_RAYS = 800


class ModelTracker:
    """Fits the visible surface of each model to the frame, starting at the predicted pose."""

    def __init__(self, cache_dir: Path | None = None) -> None:
        self._cache_dir = cache_dir

    def prepare(self, model: ObjectModel) -> None:
        """Build what rendering needs."""
        _ = model.scene, model.scene_lab  # made on first use

    def track(
        self, frame: Frame, poses: PoseEstimates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Bring predicted poses onto this frame; what the frame does not show is absent."""
        models = {model.name: model for model in objects}
        with _one_thread():
            tracked = [followed(frame, models[pose.class_id], pose) for pose in poses.items]
        found = tuple(pose for pose in tracked if pose is not None)
        reason = "" if found else "no followed instance is in the image"
        return PoseEstimates(found, frame.stamp_ns, frame.frame_id, reason)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep the compiled loops on this thread: for a few thousand pixels, calling others in takes
    longer than the work, and many times longer when the processor is busy.
    """
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(threads)


def followed(frame: Frame, model: ObjectModel, predicted: PoseEstimate) -> PoseEstimate | None:
    """The pose in the frame, judged; None when the object is out of the image or hidden."""
    pose = predicted.cam_from_obj
    window = window_around(frame, model, pose)
    if window is None:
        return None
    pose, information = aligned(frame, model, window, pose)
    if information is None:
        return None
    if _moved_far(model, predicted.cam_from_obj, pose):
        window = window_around(frame, model, pose)
        if window is None:
            return None
        pose, again = aligned(frame, model, window, pose)
        information = information if again is None else again
    return judged(model, window, predicted, pose, information)


def aligned(
    frame: Frame, model: ObjectModel, window: Window, cam_from_obj: Array
) -> tuple[Array, Array | None]:
    """The fitted (4, 4) pose, and its (6, 6) information about the centre; None: no match."""
    surface = _thinned(surface_seen(model, window, cam_from_obj))
    centre = model.obj_from_box[:3, 3]
    z = float((cam_from_obj @ [*centre, 1])[2])
    rotation = np.ascontiguousarray(cam_from_obj[:3, :3])
    translation = np.ascontiguousarray(cam_from_obj[:3, 3])
    camera, small = frame.camera, window.scene.camera
    tie = np.repeat([TIE_SHIFT * model.diameter, TIE_ANGLE], 3) ** -2.0
    information = align(
        frame.depth, (camera.fx, camera.fy, camera.cx, camera.cy), window.scene.lab,
        (small.fx, small.fy, small.cx, small.cy), surface.points, surface.normals, surface.lab,
        surface.rim, surface.outward, 0.5 / window.scene.scale, centre, rotation, translation, np.array(GATES) * depth_tolerance(model.diameter, z),
        SENSOR_BASE_M + SENSOR_PER_M2 * z * z, COLOR_WEIGHT if model.colors is not None else 0.0,
        RIM_WEIGHT, tie,
    )  # fmt: skip
    if not information.any():
        return cam_from_obj, None
    return se3.from_rotation_translation(rotation, translation), information


def judged(
    model: ObjectModel,
    window: Window,
    predicted: PoseEstimate,
    cam_from_obj: Array,
    information: Array,
) -> PoseEstimate:
    """The pose with score, parts and covariance."""
    at = Hypotheses.from_poses(cam_from_obj[None], np.zeros(1), np.ones(1, np.int64))
    labels = np.zeros(window.scene.depth.shape, np.int32)
    agreement = compare(window.scene, model, labels, at, JUDGE_RAYS)
    return replace(
        predicted,
        score=float(np.clip(agreement.score[0], 0, 1)),
        cam_from_obj=cam_from_obj,
        covariance=_covariance(model, cam_from_obj, information),
        mask=None,
        score_parts={f.name: float(getattr(agreement, f.name)[0]) for f in fields(agreement)},
    )


def _covariance(model: ObjectModel, cam_from_obj: Array, information: Array) -> Array:
    """(6, 6) about the object's origin, as in ``covariance.pose_covariance``."""
    prior = np.repeat([PRIOR_SHIFT * model.diameter, PRIOR_ANGLE], 3) ** -2.0
    about_centre = np.linalg.inv(information / POINTS_PER_SAMPLE + np.diag(prior))
    x, y, z = -cam_from_obj[:3, :3] @ model.obj_from_box[:3, 3]  # from the centre to the origin
    to_origin = np.eye(6)
    to_origin[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]  # the origin moves by turn x arm
    covariance = to_origin @ about_centre @ to_origin.T
    return (covariance + covariance.T) / 2


def _thinned(surface: Surface) -> Surface:
    """At most MAX_POINTS and MAX_RIM, evenly."""
    keep, rim = _every(len(surface), MAX_POINTS), _every(len(surface.rim), MAX_RIM)
    return Surface(
        surface.points[keep], surface.normals[keep], surface.lab[keep],
        surface.rim[rim], surface.outward[rim],
    )  # fmt: skip


def _every(count: int, most: int) -> NDArray[np.int64]:
    """Indices of at most so many of ``count``, by equal steps."""
    return (np.arange(min(count, most)) * max(1.0, count / most)).astype(np.int64)


def _moved_far(model: ObjectModel, before: Array, after: Array) -> bool:
    centre = model.obj_from_box[:, 3]
    shift = np.linalg.norm((after - before)[:3] @ centre)
    turn = se3.rotation_angle(before[:3, :3], after[:3, :3])
    return bool(shift > LOOK_AGAIN_SHIFT * model.diameter or turn > LOOK_AGAIN_ANGLE)
