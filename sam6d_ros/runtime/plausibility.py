"""Does an object's size fit the scene? Millimetres taken for metres show here first."""

from __future__ import annotations

import numpy as np

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import Frame, Scene

MIN_PIXELS = 6.0  # a smaller picture of an object carries no pose
SAMPLED_EVERY_PX = 4  # rows and columns of the depth image: the reach of a scene needs no more
_STATED = "state `unit: {0}` in the objects file, or --cad-unit {0}"


def size_doubt(model: ObjectModel, scene: Scene) -> str:
    """Why the object cannot be meant to be in this scene, with the remedy; "" when it can.

    An object larger than everything the camera sees, or smaller than a few pixels at the nearest
    measured surface, is nearly always a matter of units.
    """
    near, far = scene.derived(_reach)
    if far == 0:
        return ""
    camera = scene.frame.camera
    # widest extent that the camera can see at the far end of the scene
    extent = far * max(1.0, camera.width / camera.fx, camera.height / camera.fy)
    reach = f"the scene reaches from {near:.3g} m to {far:.3g} m"
    if model.diameter > 2 * extent:
        return (
            f"{model.name} is {model.diameter:.3g} m across but {reach}; "
            f"is the CAD file in millimetres ({_STATED.format('mm')}), or the depth scale wrong?"
        )
    pixels = model.diameter * camera.fx / near
    if pixels < MIN_PIXELS:
        return (
            f"{model.name} is {MM_PER_M * model.diameter:.3g} mm across, {pixels:.1f} pixels where "
            f"it is nearest, as {reach}; is the CAD file in metres ({_STATED.format('m')}), or the "
            "depth scale wrong?"
        )
    return ""


def _reach(frame: Frame) -> tuple[float, float]:
    """Nearest and farthest depth, metres, but for a few pixels; zeros when nothing is measured."""
    sample = frame.depth[::SAMPLED_EVERY_PX, ::SAMPLED_EVERY_PX]
    measured = sample[sample > 0]
    if measured.size == 0:
        return 0.0, 0.0
    near, far = np.percentile(measured, [2, 98])
    return float(near), float(far)
