"""Warnings about the frame and the objects of `sam6d estimate`, before and after the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    scale_question,
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
    frame: Frame, poses: PoseEstimates, engine: Engine, scale: DepthScale
) -> PoseEstimates:
    """Print warnings about the frame that follow from its result.

    Args:
        frame: the image.
        poses: poses found in it.
        engine: repeats the search with other readings of the frame.
        scale: unit of depth, and whether it was stated.

    Returns:
        The poses; the reason of an empty result asks about a stated unit of depth that misfits.

    Raises:
        InvalidFrame: the objects fit far better with another unit of depth.
    """
    if scale.is_assumed and (warning := other_scale(frame, poses, engine.run)):
        raise InvalidFrame(warning)
    if scale.stated_mm is not None:
        poses = scale_question(frame, poses, engine.run, scale.stated_mm)
    warning = color_order_warning(frame, poses, engine.objects)
    if warning or (warning := with_swapped_colors(frame, poses, engine.run)):
        warn(warning)
    return poses


@dataclass(frozen=True)
class DepthScale:
    """Unit of an integer depth image.

    Attributes:
        stated_mm: millimetres per unit as stated by the call or the camera file, or None.
        is_assumed: whether neither states it and it was taken as 1 mm per unit.
    """

    stated_mm: float | None
    is_assumed: bool


def depth_scale_of(depth: Path, depth_scale: float | None, camera: frames.CameraFile) -> DepthScale:
    """Return the unit of a depth image; floats are metres unless the call states their unit."""
    if depth_scale is not None:
        return DepthScale(depth_scale, is_assumed=False)
    if depth.suffix == ".npy":
        return DepthScale(None, is_assumed=False)
    image = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
    is_integer = image is not None and image.dtype.kind in "ui"
    stated_mm = camera.depth_scale if is_integer else None
    return DepthScale(stated_mm, is_assumed=is_integer and stated_mm is None)


def warn(text: str) -> None:
    """Print a warning to stderr."""
    CONSOLE.print(f"warning: {text}", markup=False, soft_wrap=True)
