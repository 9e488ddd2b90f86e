"""Comparison of an object's size with the scene: a wrong unit of the CAD file shows here first."""

from __future__ import annotations

import numpy as np

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.units import METRES_PER
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import Frame, Scene

MIN_PIXELS = 6.0  # a smaller picture of an object carries no pose
# With a unit that was decided from the diameter alone, so small a picture is more often a wrong
# unit: 16 pixels are 16 mm at 0.6 m with fx = 600.
MIN_PIXELS_ASSUMED = 16.0
SAMPLED_EVERY_PX = 4  # rows and columns of the depth image: the reach of a scene needs no more


def size_warning(model: ObjectModel, scene: Scene) -> str:
    """Return the reason why the object's size does not fit this scene, with the remedy; or "".

    An object larger than everything the camera sees, or of a few pixels only at the nearest
    measured surface, is nearly always a matter of units.

    Args:
        model: the object.
        scene: the frame.
    """
    near, far = scene.derived(_reach)
    if far == 0:
        return ""
    camera = scene.frame.camera
    # widest extent that the camera can see at the far end of the scene
    extent = far * max(1.0, camera.width / camera.fx, camera.height / camera.fy)
    needed = MIN_PIXELS_ASSUMED if model.is_unit_assumed else MIN_PIXELS
    remedy = _remedy(model, smallest=MIN_PIXELS_ASSUMED * near / camera.fx, largest=extent)
    reach = f"the scene reaches from {near:.3g} m to {far:.3g} m"
    if model.diameter > 2 * extent:
        return f"{model.name} is {model.diameter:.3g} m across but {reach}; {remedy}"
    pixels = model.diameter * camera.fx / near
    if pixels < needed:
        return (
            f"{model.name} is {MM_PER_M * model.diameter:.3g} mm across, {pixels:.1f} pixels where "
            f"it is nearest, as {reach}; {remedy}"
        )
    return ""


def _remedy(model: ObjectModel, smallest: float, largest: float) -> str:
    """Name the units in which the object would fit; sizes in metres."""
    raw = model.diameter / METRES_PER[model.unit]
    others = {u: raw * metres for u, metres in METRES_PER.items() if u != model.unit}
    fits = {u: size for u, size in others.items() if smallest <= size <= largest}
    # an assumed unit can be stated; a stated one was chosen
    right = f"; if {model.unit} is right, state it" if model.is_unit_assumed else ""
    if not fits:
        return f"is its unit ({model.unit_note or model.unit}) or the depth scale wrong{right}?"
    named = " or ".join(f"{u} ({size:.3g} m)" for u, size in fits.items())
    first = next(iter(fits))
    return (
        f"is the CAD file in {named}, or the depth scale wrong? State it, as `unit: {first}` "
        f"in the objects file, or --cad-unit {first}{right}"
    )


def _reach(frame: Frame) -> tuple[float, float]:
    """Nearest and farthest depth, metres, but for a few pixels; zeros when nothing is measured."""
    sample = frame.depth[::SAMPLED_EVERY_PX, ::SAMPLED_EVERY_PX]
    measured = sample[sample > 0]
    if measured.size == 0:
        return 0.0, 0.0
    near, far = np.percentile(measured, [2, 98])
    return float(near), float(far)
