"""Warnings about the frame and the objects of `sam6d estimate`, before and after the search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from sam6d_ros import frames
from sam6d_ros.apps.cli.options import CONSOLE
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidFrame, InvalidMesh
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.frame_checks import (
    color_order_warning,
    frame_warnings,
    other_scale,
    with_swapped_colors,
)
from sam6d_ros.runtime.size_check import size_warning
from sam6d_ros.types import Frame, PoseEstimates, Scene


def check_frame(models: Sequence[ObjectModel], frame: Frame) -> None:
    """Print warnings about the frame; refuse it when no object fits the scene.

    Raises:
        InvalidMesh: the size of no object fits the scene.
    """
    scene = Scene(frame)
    for warning in frame_warnings(scene):
        warn(warning)
    warnings = [warning for model in models if (warning := size_warning(model, scene))]
    if len(warnings) == len(models):
        raise InvalidMesh(warnings[0])
    for warning in warnings:
        warn(warning)


def check_result(
    frame: Frame, poses: PoseEstimates, engine: Engine, is_scale_assumed: bool
) -> None:
    """Print warnings about the frame that follow from its result.

    Args:
        is_scale_assumed: whether the unit of depth was not stated.
        frame: the image.
        poses: poses found in it.
        engine: repeats the search with other readings of the frame.

    Raises:
        InvalidFrame: the objects fit far better with another unit of depth.
    """
    if is_scale_assumed and (warning := other_scale(frame, poses, engine.run)):
        raise InvalidFrame(warning)
    warning = color_order_warning(frame, poses, engine.objects)
    if warning or (warning := with_swapped_colors(frame, poses, engine.run)):
        warn(warning)


def is_scale_assumed(depth: Path, depth_scale: float | None, camera: frames.CameraFile) -> bool:
    """Return whether neither the call nor the camera file states the unit of an integer image."""
    if depth_scale is not None or camera.depth_scale is not None or depth.suffix == ".npy":
        return False
    image = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
    return image is not None and image.dtype.kind in "ui"


def warn(text: str) -> None:
    """Print a warning to stderr."""
    CONSOLE.print(f"warning: {text}", markup=False, soft_wrap=True)
