"""Trials of another reading of a frame whose result is poor: unit of depth, order of colours.

A trial runs the whole search again, so it is for single frames (the command line).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from sam6d_ros.types import Frame, PoseEstimates

Search = Callable[[Frame], PoseEstimates]

# Millimetres per unit: L515, D405 and many data sets, TUM, and others.
SCALES_MM = (0.25, 0.1, 0.2, 0.125, 0.5)
POOR_SCORE = 0.75  # a better result needs no trial
FITS_SCORE, BETTER_BY = 0.75, 0.2  # of the trial, and over the result


def best_score(poses: PoseEstimates) -> float:
    """Return the largest score; 0 without a pose.

    Args:
        poses: of one frame.
    """
    return max((pose.score for pose in poses.items), default=0.0)


def other_scale(frame: Frame, poses: PoseEstimates, search: Search) -> str:
    """Return the warning that depth is in another unit than the assumed millimetre; or "".

    Args:
        frame: with depth that was read as 1 mm per unit.
        poses: the result of this frame.
        search: the same search in another frame.
    """
    if best_score(poses) >= POOR_SCORE:
        return ""
    scale, score = _best_scale(frame, SCALES_MM, 1.0, search)
    if score < FITS_SCORE or score < best_score(poses) + BETTER_BY:
        return ""
    return (
        f"no unit of depth is stated, and 1 mm per unit was assumed: {_result(poses)}; with "
        f"{scale:g} mm per unit the best pose scores {score:.2f}. State the unit of the depth "
        f"image: --depth-scale {scale:g}, or depth_scale in the camera file (1 if it is mm)"
    )


def scale_question(
    frame: Frame, poses: PoseEstimates, search: Search, stated_mm: float
) -> PoseEstimates:
    """Return a result; the reason of an empty one asks about a stated unit of depth that misfits.

    Args:
        frame: with depth in metres, of the stated unit.
        poses: the result of this frame.
        search: the same search in another frame.
        stated_mm: millimetres per unit of the depth image.
    """
    if len(poses):
        return poses
    scales = [scale for scale in (1.0, *SCALES_MM) if scale != stated_mm]
    scale, score = _best_scale(frame, scales, stated_mm, search)
    if score < FITS_SCORE:
        return poses
    question = (
        f"is the depth scale of {stated_mm:g} mm per unit right? With {scale:g} mm per unit the "
        f"best pose scores {score:.2f}: --depth-scale {scale:g}, or depth_scale in the camera file"
    )
    return replace(poses, reason=f"{poses.reason}; {question}")


def _best_scale(
    frame: Frame, scales: Iterable[float], given_mm: float, search: Search
) -> tuple[float, float]:
    """Return the scale of the best pose, mm per unit, and its score."""
    found = {
        scale: best_score(search(replace(frame, depth=frame.depth * np.float32(scale / given_mm))))
        for scale in scales
    }
    return max(found.items(), key=lambda item: item[1])


def with_swapped_colors(frame: Frame, poses: PoseEstimates, search: Search) -> str:
    """Return the warning that only the image with red and blue swapped shows the objects; or "".

    Args:
        frame: the image.
        poses: poses found in it.
        search: finds the same objects in another frame.
    """
    if len(poses):
        return ""
    swapped = np.ascontiguousarray(frame.rgb[..., ::-1])
    score = best_score(search(replace(frame, rgb=swapped)))
    if score < FITS_SCORE:
        return ""
    return (
        f"red and blue seem to be swapped in the colour image: {_result(poses)}; with red and blue "
        f"exchanged the best pose scores {score:.2f}. Give the image in RGB order"
    )


def _result(poses: PoseEstimates) -> str:
    return f"the best pose scores {best_score(poses):.2f}" if len(poses) else "nothing is found"
