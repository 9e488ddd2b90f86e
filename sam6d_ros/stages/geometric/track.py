"""Follows known instances from frame to frame by fitting their rendered surface to the frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import numba
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.depth_noise import SENSOR
from sam6d_ros.stages.geometric.compare import compare, depth_tolerance
from sam6d_ros.stages.geometric.covariance import (
    POINTS_PER_SAMPLE,
    PRIOR_ANGLE,
    PRIOR_SHIFT,
)
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.track_kernel import align
from sam6d_ros.stages.geometric.track_looks import Looks, LooksMemory, looks_in
from sam6d_ros.stages.geometric.track_view import Surface, Window, surface_seen, window_around
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates, Scene

Array = NDArray[np.float64]

GATES = (3.0, 3.0, 2.5, 2.0, 2.0, 1.5, 1.5, 1.5)  # per iteration, in depth tolerances
RIM_WEIGHT, COLOR_WEIGHT = 0.5, 0.5  # of one match against one of the depth
SURE = 0.5  # score from which a pose is trusted to show how the object looks
TIE_SHIFT, TIE_ANGLE = 0.05, np.radians(8)  # standard deviation of the prediction: diameters, rad
LOOK_AGAIN_SHIFT, LOOK_AGAIN_ANGLE = 0.06, np.radians(4)  # moved so far, it shows other points
MIN_SHOWN = 0.12  # share of the surface that the depth must show: less fits anywhere
JUDGE_RAYS = 800


class ModelTracker:
    """Fits the visible surface of each model to the frame, starting at the predicted pose."""

    def __init__(self) -> None:
        self._looks = LooksMemory()

    def prepare(self, model: ObjectModel) -> None:
        """Build what rendering needs."""
        _ = model.scene, model.scene_lab  # made on first use

    def track(
        self, scene: Scene, poses: PoseEstimates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Bring predicted poses onto this frame; what the frame does not show is absent."""
        frame, models = scene.frame, {model.name: model for model in objects}
        with _one_thread():
            tracked = [
                followed(frame, models[pose.class_id], pose, self._looks) for pose in poses.items
            ]
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


def followed(
    frame: Frame, model: ObjectModel, predicted: PoseEstimate, memory: LooksMemory
) -> PoseEstimate | None:
    """The pose in the frame, judged; None when the object is out of the image or hidden."""
    looks = memory.of(predicted.instance_id)
    fit = fitted(frame, model, predicted.cam_from_obj, looks)
    if fit is not None and _moved_far(model, predicted.cam_from_obj, fit.cam_from_obj):
        fit = fitted(frame, model, fit.cam_from_obj, looks)
    if fit is None:
        return None
    pose = judged(model, fit, predicted)
    if pose.score > SURE:
        tolerance = depth_tolerance(model.diameter, float(fit.cam_from_obj[2, 3]))
        seen = looks_in(fit.window, fit.surface.points, fit.cam_from_obj, tolerance)
        memory.learn(predicted.instance_id, seen)
    return pose


@dataclass(frozen=True)
class Fit:
    """A fitted pose with what it was fitted to.

    Attributes:
        cam_from_obj: (4, 4).
        information: (6, 6) about the object's centre: shift, turn; camera axes.
        window: the part of the frame.
        surface: what was rendered before the fit.
    """

    cam_from_obj: Array
    information: Array
    window: Window
    surface: Surface


def fitted(frame: Frame, model: ObjectModel, cam_from_obj: Array, looks: Looks) -> Fit | None:
    """Fit from a pose nearby; None when nothing in the frame matches."""
    window = window_around(frame, model, cam_from_obj)
    if window is None:
        return None
    surface = surface_seen(model, window, cam_from_obj)
    centre = model.obj_from_box[:3, 3]
    z = float((cam_from_obj @ [*centre, 1])[2])
    rotation = np.ascontiguousarray(cam_from_obj[:3, :3])
    translation = np.ascontiguousarray(cam_from_obj[:3, 3])
    gates = np.array(GATES) * depth_tolerance(model.diameter, z)
    tie = np.repeat([TIE_SHIFT * model.diameter, TIE_ANGLE], 3) ** -2.0
    information, shown = align(
        frame.depth, _intrinsics(frame.camera), window.scene.normals, window.scene.lab,
        window.nearest, window.farthest, _intrinsics(window.scene.camera), surface.points,
        surface.normals, surface.rim, surface.outward, 0.5 / window.scene.scale, looks.spots,
        looks.lab, centre, rotation, translation, gates, SENSOR.at(z),
        RIM_WEIGHT, COLOR_WEIGHT, tie,
    )  # fmt: skip
    if shown < MIN_SHOWN:
        return None
    pose = se3.from_rotation_translation(rotation, translation)
    return Fit(pose, information, window, surface)


def _intrinsics(camera: CameraIntrinsics) -> tuple[float, float, float, float]:
    return camera.fx, camera.fy, camera.cx, camera.cy


def judged(model: ObjectModel, fit: Fit, predicted: PoseEstimate) -> PoseEstimate:
    """The fitted pose with score, parts and covariance."""
    at = Hypotheses.from_poses(fit.cam_from_obj[None], np.zeros(1), np.ones(1, np.int64))
    scene = fit.window.scene
    labels = np.zeros(scene.depth.shape, np.int32)
    agreement = compare(scene, model, labels, at, JUDGE_RAYS)
    return replace(
        predicted,
        score=float(np.clip(agreement.score[0], 0, 1)),
        cam_from_obj=fit.cam_from_obj,
        covariance=_covariance(model, fit.cam_from_obj, fit.information),
        mask=None,
        agreement={f.name: float(getattr(agreement, f.name)[0]) for f in fields(agreement)},
        visible=float(np.clip(agreement.visible[0], 0, 1)),
    )


def _covariance(model: ObjectModel, cam_from_obj: Array, information: Array) -> Array:
    """(6, 6) about the object's origin, as in ``covariance.pose_covariance``."""
    prior = np.repeat([PRIOR_SHIFT * model.diameter, PRIOR_ANGLE], 3) ** -2.0
    about_centre = np.linalg.inv(information / POINTS_PER_SAMPLE + np.diag(prior))
    from_centre = -cam_from_obj[:3, :3] @ model.obj_from_box[:3, 3]
    covariance = se3.shift_origin(about_centre, from_centre)
    return (covariance + covariance.T) / 2


def _moved_far(model: ObjectModel, before: Array, after: Array) -> bool:
    centre = model.obj_from_box[:, 3]
    shift = np.linalg.norm((after - before)[:3] @ centre)
    turn = se3.rotation_angle(before[:3, :3], after[:3, :3])
    return bool(shift > LOOK_AGAIN_SHIFT * model.diameter or turn > LOOK_AGAIN_ANGLE)
