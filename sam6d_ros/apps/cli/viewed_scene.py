"""Scene of a viewer: the point cloud of a frame, and models at poses and alternative poses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry.camera import back_project
from sam6d_ros.types import Frame, PoseEstimates
from sam6d_ros.visualize import color_of, draw_poses

MAX_POINTS = 300_000  # a browser draws them without delay


@dataclass(frozen=True)
class Placed:
    """A model at a pose.

    Attributes:
        path: unique name in the viewer: ``poses/mug_0``, ``alternatives/mug_0/1``.
        label: text for a person.
        model: the object.
        cam_from_obj: (4, 4) float64, metres.
        vertex_colors: (V, 3) uint8 RGB; those of the model, or one colour for the object.
    """

    path: str
    label: str
    model: ObjectModel
    cam_from_obj: NDArray[np.float64]
    vertex_colors: NDArray[np.uint8]


@dataclass(frozen=True)
class ViewedScene:
    """Content of a viewer, in the camera optical frame, metres.

    Attributes:
        frame: colour, depth and camera.
        overlay: (H, W, 3) uint8 RGB, the poses drawn over the image.
        points: (N, 3) float32, measured points.
        point_colors: (N, 3) uint8 RGB.
        poses: the estimates, best first.
        alternatives: poses that the frame does not rule out.
    """

    frame: Frame
    overlay: NDArray[np.uint8]
    points: NDArray[np.float32]
    point_colors: NDArray[np.uint8]
    poses: tuple[Placed, ...]
    alternatives: tuple[Placed, ...]


def viewed_scene(
    frame: Frame, poses: PoseEstimates, models: Mapping[str, ObjectModel]
) -> ViewedScene:
    """Return the content of a viewer for one frame.

    Args:
        frame: the frame.
        poses: its result.
        models: by ``class_id``.

    Returns:
        The scene; of more than ``MAX_POINTS`` points every n-th is kept.
    """
    valid = frame.depth > 0
    step = max(1, -(-int(valid.sum()) // MAX_POINTS))
    return ViewedScene(
        frame,
        draw_poses(frame.rgb, frame.camera, poses.items, models),
        back_project(frame.camera, frame.depth)[valid][::step],
        frame.rgb[valid][::step],
        tuple(
            _placed(
                f"poses/{item.instance_id}",
                f"{item.instance_id} {item.score:.2f}",
                models[item.class_id],
                item.cam_from_obj,
            )
            for item in poses.items
        ),
        tuple(
            _placed(
                f"alternatives/{item.instance_id}/{number}",
                f"{other.class_id}, probability {other.probability:.2f}",
                models[other.class_id],
                other.cam_from_obj,
            )
            for item in poses.items
            for number, other in enumerate(item.alternatives, 1)
        ),
    )


def _placed(path: str, label: str, model: ObjectModel, cam_from_obj: NDArray[np.float64]) -> Placed:
    own = np.array(color_of(model.name), np.uint8)
    colors = np.tile(own, (len(model.vertices), 1)) if model.colors is None else model.colors
    return Placed(path, label, model, cam_from_obj, colors)
