"""Plausibility of frames: depth along the ray, registration, colour order, unit of depth.

Each check returns a warning with measured value, expected value and remedy, or "". Thresholds were
set on synthetic frames and on frames of LM, LM-O, YCB-V and two rendered data sets, each as it is
and with the fault added.
"""

from __future__ import annotations

from sam6d_ros.runtime.frame_checks.along_ray import along_ray_warning
from sam6d_ros.runtime.frame_checks.color_order import color_order_warning
from sam6d_ros.runtime.frame_checks.readings import (
    other_scale,
    scale_question,
    with_swapped_colors,
)
from sam6d_ros.runtime.frame_checks.registration import registration_warning
from sam6d_ros.types import Scene

__all__ = [
    "color_order_warning",
    "frame_warnings",
    "other_scale",
    "scale_question",
    "with_swapped_colors",
]


def frame_warnings(scene: Scene) -> tuple[str, ...]:
    """Return the warnings about a frame, computed once per scene.

    Args:
        scene: the frame.
    """
    warnings = scene.derived(along_ray_warning), scene.derived(registration_warning)
    return tuple(warning for warning in warnings if warning)
