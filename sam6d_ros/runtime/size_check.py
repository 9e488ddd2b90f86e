"""Comparison of an object's size with the scene: a wrong unit of the CAD file shows here first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.units import METRES_PER
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import Frame, PoseEstimates, Scene

MIN_PIXELS = 6.0  # a smaller picture of an object carries no pose
# With a unit that was decided from the diameter alone, so small a picture is more often a wrong
# unit: 16 pixels are 16 mm at 0.6 m with fx = 600.
MIN_PIXELS_ASSUMED = 16.0
LARGE_SHARE = 0.6  # of the view at the median depth; a larger object is questioned if not found
SAMPLED_EVERY_PX = 4  # rows and columns of the depth image: the reach of a scene needs no more


def size_warning(model: ObjectModel, scene: Scene) -> str:
    """Return the reason why the object's size does not fit this scene, with the remedy; or "".

    An object larger than everything the camera sees, or of a few pixels only at the nearest
    measured surface, is nearly always a matter of units.

    Args:
        model: the object.
        scene: the frame.
    """
    near, _, far = scene.derived(_reach)
    if far == 0:
        return ""
    camera = scene.frame.camera
    extent = _extent(far, scene.frame)  # at the far end of the scene
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


def with_size_question(
    poses: PoseEstimates, models: Iterable[ObjectModel], scene: Scene
) -> PoseEstimates:
    """Return a result; the reason of an empty one asks about sizes that are improbable here.

    Args:
        poses: of the frame.
        models: the objects that were searched.
        scene: the frame.
    """
    if len(poses):
        return poses
    questions = [text for model in models if (text := _size_question(model, scene))]
    return replace(poses, reason="; ".join([poses.reason, *questions])) if questions else poses


def _size_question(model: ObjectModel, scene: Scene) -> str:
    """Return the question about an object that is large or small where most of the scene is."""
    near, middle, far = scene.derived(_reach)
    if far == 0:
        return ""
    smallest = MIN_PIXELS_ASSUMED * middle / scene.frame.camera.fx
    largest = LARGE_SHARE * _extent(middle, scene.frame)
    if smallest <= model.diameter <= largest:
        return ""
    fits = _fitting_units(model, smallest, largest)
    others = " or ".join(f"in {u} it would be {size:.3g} m" for u, size in fits.items())
    return (
        f"{model.name} was searched as {model.diameter:.3g} m across (unit {model.unit}) and the "
        f"scene reaches from {near:.3g} m to {far:.3g} m: is the unit of its CAD file right? "
        f"{others}".rstrip()
    )


def _extent(distance: float, frame: Frame) -> float:
    """Return the widest extent that the camera sees at a distance, metres."""
    camera = frame.camera
    return distance * max(1.0, camera.width / camera.fx, camera.height / camera.fy)


def _fitting_units(model: ObjectModel, smallest: float, largest: float) -> dict[str, float]:
    """Return the other units that give a size between two, with that size in metres."""
    raw = model.diameter / METRES_PER[model.unit]
    others = {u: raw * metres for u, metres in METRES_PER.items() if u != model.unit}
    return {u: size for u, size in others.items() if smallest <= size <= largest}


def _remedy(model: ObjectModel, smallest: float, largest: float) -> str:
    """Name the units in which the object would fit; sizes in metres."""
    fits = _fitting_units(model, smallest, largest)
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


def _reach(frame: Frame) -> tuple[float, float, float]:
    """Nearest, median and farthest depth, metres, but for a few pixels; zeros without depth."""
    sample = frame.depth[::SAMPLED_EVERY_PX, ::SAMPLED_EVERY_PX]
    measured = sample[sample > 0]
    if measured.size == 0:
        return 0.0, 0.0, 0.0
    near, middle, far = np.percentile(measured, [2, 50, 98])
    return float(near), float(middle), float(far)
