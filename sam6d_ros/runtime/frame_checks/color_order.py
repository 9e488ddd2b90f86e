"""Detection of swapped red and blue: model colours at the found poses against the image.

The colours are compared at all poses that the shape allows: with swapped channels, the search may
prefer a pose that is turned.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.group import expand
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates

EQUIVALENT_STEP_RAD = np.deg2rad(60)
ON_SURFACE = 0.1  # of the diameter: pixels whose depth is that of the model
MIN_PIXELS = 100
MIN_CHROMA = 10.0  # of the model, mean; greyer ones look the same in both orders
# On right images the swapped order is never nearer than 0.99 of the right one (median 2.2); on
# swapped ones it is at 0.34 (median 0.45).
MAX_RATIO, MIN_DIFFERENCE = 0.7, 8.0


def color_order_warning(
    frame: Frame, poses: PoseEstimates, models: Mapping[str, ObjectModel]
) -> str:
    """Return the warning that red and blue are swapped; "" if they are not, or if it is undecided.

    Args:
        frame: the image.
        poses: poses found in it.
        models: objects by class id.
    """
    found = [_differences(frame, pose, models[pose.class_id]) for pose in poses.items]
    pixels = sum(count for _, count in found)
    if pixels < MIN_PIXELS:
        return ""
    total = np.sum([mean * count for mean, count in found], axis=0)
    stored, swapped = (total / pixels).tolist()
    if swapped > MAX_RATIO * stored or stored - swapped < MIN_DIFFERENCE:
        return ""
    names = ", ".join(dict.fromkeys(pose.class_id for pose in poses.items))
    return (
        f"red and blue seem to be swapped in the colour image: the colours of {names} differ by "
        f"{stored:.0f} from the image and by {swapped:.0f} from the image with red and blue "
        "exchanged (mean a*b* distance; expected is less as it is). Give RGB order (a BGR array "
        "saved as RGB, or bgr8 data labelled rgb8); if the order is right, the poses are wrong"
    )


def _differences(
    frame: Frame, pose: PoseEstimate, model: ObjectModel
) -> tuple[NDArray[np.float64], int]:
    """Return the least mean distances (2,) of the stored and swapped image, and their pixels."""
    nothing = np.zeros(2), 0
    if model.colors is None:
        return nothing
    distances, pixels = [], 0
    for motion in expand(model.shape_symmetries, EQUIVALENT_STEP_RAD, max_count=24):
        seen = model.scene.render(frame.camera, pose.cam_from_obj @ motion)
        near = np.abs(seen.depth - frame.depth) < ON_SURFACE * model.diameter
        shown = seen.mask & (frame.depth > 0) & near
        if shown.sum() < MIN_PIXELS:
            continue
        wanted = _chroma(seen.rgb[shown])
        if np.linalg.norm(wanted, axis=1).mean() < MIN_CHROMA:
            continue
        image = frame.rgb[shown]
        orders = (_chroma(image), _chroma(image[:, ::-1]))
        distances.append([np.linalg.norm(wanted - ab, axis=1).mean() for ab in orders])
        pixels = max(pixels, int(shown.sum()))
    return (np.min(distances, axis=0), pixels) if distances else nothing


def _chroma(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a*b* (N, 2) of colours (N, 3)."""
    lab = cv2.cvtColor(rgb[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab[0, :, 1:], np.float32)
