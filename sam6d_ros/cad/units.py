"""Is the file in metres or in millimetres? STL, OBJ and PLY do not say."""

from __future__ import annotations

from sam6d_ros.errors import InvalidMesh
from sam6d_ros.geometry.units import MM_PER_M

UNITS = ("auto", "m", "mm")
METRES_PER = {"m": 1.0, "mm": 1 / MM_PER_M}
# Objects that a robot looks at. The two ranges, 0.01–2 as metres and 10–2000 as millimetres, do
# not overlap: a raw diameter in neither decides nothing.
SMALLEST_M, LARGEST_M = 0.01, 2.0
# With the unit given, only what no depth camera could use is refused.
SMALLEST_STATED_M, LARGEST_STATED_M = 0.001, 20.0
_REMEDY = "say the unit (--cad-unit m or mm; `unit:` in the objects file)"


def decide_unit(
    raw_diameter: float, unit: str = "auto", is_metric: bool = False
) -> tuple[str, str]:
    """The unit of a mesh, and how that was decided.

    Args:
        raw_diameter: in the unit of the file.
        unit: "m", "mm" or "auto".
        is_metric: the file format says that it is metres (glTF).

    Returns:
        "m" or "mm", and a note for the log.

    Raises:
        InvalidMesh: unknown unit; "auto" cannot tell; or the size is absurd in the stated unit.
    """
    if unit not in UNITS:
        raise InvalidMesh(f"the CAD unit {unit!r} is unknown; expected one of {UNITS}")
    sizes = f"{raw_diameter:g} m if in metres, {raw_diameter / MM_PER_M:g} m if in millimetres"
    if unit != "auto":
        size = raw_diameter * METRES_PER[unit]
        if not SMALLEST_STATED_M <= size <= LARGEST_STATED_M:
            raise InvalidMesh(
                f"the mesh has a diameter of {raw_diameter:g} {unit}: too "
                f"{'small' if size < 1 else 'large'} for a camera. It is {sizes}: check the unit"
            )
        return unit, f"{unit}, as given (diameter {size:.3f} m)"
    fits = [u for u in ("m", "mm") if SMALLEST_M <= raw_diameter * METRES_PER[u] <= LARGEST_M]
    if is_metric and fits != ["m"]:
        raise InvalidMesh(
            f"glTF is in metres by its specification, but the diameter is {sizes}; "
            f"an object of {SMALLEST_M}–{LARGEST_M} m was expected: {_REMEDY}"
        )
    if len(fits) != 1:
        raise InvalidMesh(
            f"the unit of the mesh is ambiguous: its diameter is {sizes}, and neither is an object "
            f"of {SMALLEST_M}–{LARGEST_M} m; {_REMEDY}"
        )
    why = "by the format" if is_metric else "decided from the diameter"
    size = raw_diameter * METRES_PER[fits[0]]
    return fits[0], f"{fits[0]}, {why} ({raw_diameter:g} raw, {size:.3f} m)"
