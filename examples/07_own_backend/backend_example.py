"""Backend around a function that estimates the pose of one object in one mask.

The geometric backend of sam6d_ros finds and names the masks. Its name for the settings is
``example``; ``backend_options`` names another function as ``module:function``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidConfig, InvalidInput, InvariantError
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import back_project
from sam6d_ros.stages.backends import Backend, PoseStages, find_backend
from sam6d_ros.stages.keep_poses import KeepPoses
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.stages.protocols import Proposer, Scorer
from sam6d_ros.types import Candidates, Detection, Detections, Frame, InstanceCandidates, Scene

# (frame, object, mask (H, W) bool) → cam_from_obj (4, 4), metres; None if there is no pose
PoseFunction = Callable[[Frame, ObjectModel, NDArray[np.bool_]], NDArray[np.float64] | None]


def pose_at_centroid(
    frame: Frame, model: ObjectModel, mask: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """Return the pose with the box centre at the centroid of the visible points, unrotated.

    A placeholder for a method of your own.
    """
    seen = mask & (frame.depth > 0)
    if not seen.any():
        return None
    cam_from_obj = np.eye(4)
    centroid = back_project(frame.camera, frame.depth)[seen].mean(axis=0)
    cam_from_obj[:3, 3] = centroid - model.obj_from_box[:3, 3]
    return cam_from_obj


class FunctionEstimator:
    """Estimator that calls a function for each detection.

    Args:
        function: estimates one pose.
    """

    def __init__(self, function: PoseFunction) -> None:
        self.function = function

    def prepare(self, model: ObjectModel) -> None:
        """Prepare nothing; render templates or load descriptors of the object here."""

    def estimate(
        self, scene: Scene, detections: Detections, objects: Sequence[ObjectModel]
    ) -> Candidates:
        """Return one pose for each detection that the function has one for."""
        models = {model.name: model for model in objects}
        found = [
            self._candidates(found, pose)
            for found in detections.items
            if (pose := self.function(scene.frame, models[found.class_id], found.mask)) is not None
        ]
        return Candidates(tuple(found), "" if found else "the function gave no pose")

    def _candidates(self, detection: Detection, pose: NDArray[np.float64]) -> InstanceCandidates:
        try:
            cam_from_obj = se3.check_rigid(pose, "the pose")
        except InvalidInput as error:  # a result of ours, no input of a user
            name = getattr(self.function, "__name__", "the function")
            raise InvariantError(f"{name}, for {detection.class_id}: {error}") from error
        return InstanceCandidates(
            detection.class_id,
            detection.instance_id,
            cam_from_obj[None],
            np.array([detection.score]),
            detection.mask,
        )


class FunctionBackend(Backend):
    """Masks of the geometric backend, poses of a function."""

    name = "example"

    def parse_options(self, text: str) -> PoseFunction:
        """Import the function that ``module:function`` names; without text, the placeholder."""
        if not text.strip():
            return pose_at_centroid
        module, _, name = text.strip().partition(":")
        try:
            function: PoseFunction = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            remedy = "; of a module in the current folder: start the command with PYTHONPATH=."
            raise InvalidConfig(
                f"backend_options is {text!r}; expected module:function ({error})"
                f"{remedy if isinstance(error, ModuleNotFoundError) else ''}"
            ) from error
        return function

    def segmentation(self, context: BuildContext) -> tuple[Proposer, Scorer]:
        """Build the geometric backend's stages."""
        return find_backend("geometric").segmentation(context)

    def pose(self, context: BuildContext) -> PoseStages:
        """Build the estimator; scores are those of the detections."""
        function = self.parse_options(context.config.backend_options)
        return PoseStages(FunctionEstimator(function), KeepPoses(), default_min_score=0.0)


BACKEND = FunctionBackend()
