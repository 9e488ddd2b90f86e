"""Tracking of registered instances: their rendered surface is fitted to each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.depth_noise import SENSOR
from sam6d_ros.stages.geometric.compare import compare, depth_tolerance
from sam6d_ros.stages.geometric.covariance import (
    POINTS_PER_SAMPLE,
    PRIOR_ANGLE,
    PRIOR_SHIFT,
)
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.track_appearance import Appearance, AppearanceMemory, appearance_in
from sam6d_ros.stages.geometric.track_view import Window, surface_seen, window_around
from sam6d_ros.stages.kernels.inputs import (
    ColorSamples,
    MovingPose,
    TrackWeights,
    VisibleSurface,
)
from sam6d_ros.stages.kernels.threads import one_thread
from sam6d_ros.stages.kernels.track import align
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates, Scene

Array = NDArray[np.float64]

GATES = (3.0, 3.0, 2.5, 2.0, 2.0, 1.5, 1.5, 1.5)  # per iteration, in depth tolerances
BOUNDARY_WEIGHT, COLOR_WEIGHT = 0.5, 0.5  # of one match against one of the depth
HALF_PIXEL = 0.5  # from the centre of a boundary pixel to its border
MIN_SCORE_TO_LEARN_COLOR = 0.5
PRIOR_SHIFT_SD, PRIOR_ANGLE_SD = 0.05, np.radians(8)  # of the prediction: diameters, radians
REFIT_SHIFT, REFIT_ANGLE = 0.06, np.radians(4)  # after larger motion other points are visible
MIN_SHOWN = 0.12  # share of the surface that must match the depth: less fits anywhere
JUDGE_RAYS = 800


class ModelTracker:
    """Fits the visible surface of each model to the frame, starting at the predicted pose."""

    def __init__(self) -> None:
        self._appearance = AppearanceMemory()

    def prepare(self, model: ObjectModel) -> None:
        """Build the structures for rendering.

        Args:
            model: the object.
        """
        _ = model.scene, model.scene_lab  # made on first use

    def track(
        self, scene: Scene, poses: PoseEstimates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Refine predicted poses on this frame; poses that it does not show are left out.

        Args:
            scene: the frame.
            poses: predicted poses with instance ids.
            objects: models of the instances.

        Returns:
            The poses that the frame shows.
        """
        frame, models = scene.frame, {model.name: model for model in objects}

        def track_one(pose: PoseEstimate) -> PoseEstimate | None:
            scene.checkpoint()
            return followed(frame, models[pose.class_id], pose, self._appearance)

        with one_thread():
            tracked = [track_one(pose) for pose in poses.items]
        found = tuple(pose for pose in tracked if pose is not None)
        reason = "" if found else "no followed instance is in the image"
        return PoseEstimates(found, frame.stamp_ns, frame.frame_id, reason)


def followed(
    frame: Frame, model: ObjectModel, predicted: PoseEstimate, memory: AppearanceMemory
) -> PoseEstimate | None:
    """Return the pose in the frame with its score; None if the object is hidden or outside.

    Args:
        frame: the image.
        model: the object.
        predicted: the predicted pose.
        memory: colours of the instances.
    """
    appearance = memory.of(predicted.instance_id)
    fit = fitted(frame, model, predicted.cam_from_obj, appearance)
    if fit is not None and _moved_far(model, predicted.cam_from_obj, fit.cam_from_obj):
        fit = fitted(frame, model, fit.cam_from_obj, appearance)
    if fit is None:
        return None
    pose = judged(model, fit, predicted)
    if pose.score > MIN_SCORE_TO_LEARN_COLOR:
        tolerance = depth_tolerance(model.diameter, float(fit.cam_from_obj[2, 3]))
        seen = appearance_in(fit.window, fit.surface.points, fit.cam_from_obj, tolerance)
        memory.learn(predicted.instance_id, seen)
    return pose


@dataclass(frozen=True)
class Fit:
    """A fitted pose with what it was fitted to.

    Attributes:
        cam_from_obj: (4, 4).
        information: (6, 6) about the object's centre: translation, rotation; camera axes.
        window: the part of the frame.
        surface: what was rendered before the fit.
    """

    cam_from_obj: Array
    information: Array
    window: Window
    surface: VisibleSurface


def fitted(
    frame: Frame, model: ObjectModel, cam_from_obj: Array, appearance: Appearance
) -> Fit | None:
    """Fit from a predicted pose.

    Args:
        frame: the image.
        model: the object.
        cam_from_obj: (4, 4) predicted pose.
        appearance: colours of the instance.

    Returns:
        The fit; None if nothing in the frame matches.
    """
    window = window_around(frame, model, cam_from_obj)
    if window is None:
        return None
    surface = surface_seen(model, window, cam_from_obj)
    centre = model.obj_from_box[:3, 3]
    z = float((cam_from_obj @ [*centre, 1])[2])
    pose = MovingPose(
        np.ascontiguousarray(cam_from_obj[:3, :3]), np.ascontiguousarray(cam_from_obj[:3, 3]),
        centre,
    )  # fmt: skip
    gates = np.array(GATES) * depth_tolerance(model.diameter, z)
    prior = np.repeat([PRIOR_SHIFT_SD * model.diameter, PRIOR_ANGLE_SD], 3) ** -2.0
    weights = TrackWeights(
        SENSOR.at(z), BOUNDARY_WEIGHT, HALF_PIXEL / window.scene.scale, COLOR_WEIGHT
    )
    information, shown = align(
        window.maps, surface, ColorSamples(appearance.points, appearance.lab), pose, gates,
        weights, prior,
    )  # fmt: skip
    if shown < MIN_SHOWN:
        return None
    fitted_pose = se3.from_rotation_translation(pose.rotation, pose.translation)
    return Fit(fitted_pose, information, window, surface)


def judged(model: ObjectModel, fit: Fit, predicted: PoseEstimate) -> PoseEstimate:
    """Return the fitted pose with score, parts and covariance.

    Args:
        model: the object.
        fit: the fitted pose.
        predicted: the predicted pose, for class and instance id.
    """
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
    return bool(shift > REFIT_SHIFT * model.diameter or turn > REFIT_ANGLE)
