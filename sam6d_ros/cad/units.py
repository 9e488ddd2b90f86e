"""Length unit of a mesh file: stated, by the format (glTF), or decided from the diameter.

PLY, OBJ and STL files state no unit.
"""

from __future__ import annotations

from sam6d_ros.errors import InvalidMesh
from sam6d_ros.geometry.units import MM_PER_M

# International inch and foot (US National Bureau of Standards and others, 1 July 1959).
METRES_PER = {"m": 1.0, "cm": 0.01, "mm": 1 / MM_PER_M, "inch": 0.0254, "ft": 0.3048}
UNITS = ("auto", *METRES_PER)
# Objects that a robot looks at. The two ranges, 0.01–2 as metres and 10–2000 as millimetres, do
# not overlap: a raw diameter in neither decides nothing. Other units must be stated.
SMALLEST_M, LARGEST_M = 0.01, 2.0
DECIDED = ("m", "mm")  # the units that "auto" takes
# With the unit given, only what no depth camera could use is refused.
SMALLEST_STATED_M, LARGEST_STATED_M = 0.001, 20.0
_REMEDY = (
    "state the unit (--cad-unit m, cm, mm, inch or ft; `unit:` in the objects file; cad_unit over "
    "HTTP)"
)


def decide_unit(
    raw_diameter: float, unit: str = "auto", is_metric: bool = False
) -> tuple[str, str]:
    """Return the unit of a mesh and a note on how it was decided.

    Args:
        raw_diameter: in the unit of the file.
        unit: one of ``UNITS``.
        is_metric: whether the file format prescribes metres (glTF).

    Raises:
        InvalidMesh: unknown unit; "auto" is ambiguous; or the size is absurd in the stated unit.
    """
    if unit not in UNITS:
        raise InvalidMesh(f"the CAD unit {unit!r} is unknown; expected one of {UNITS}")
    if unit != "auto":
        return unit, _stated(raw_diameter, unit)
    fits = [u for u in DECIDED if SMALLEST_M <= raw_diameter * METRES_PER[u] <= LARGEST_M]
    if is_metric and fits != ["m"]:
        raise InvalidMesh(
            f"glTF is in metres by its specification, but the diameter is {sizes(raw_diameter)}; "
            f"an object of {SMALLEST_M}–{LARGEST_M} m was expected: {_REMEDY}"
        )
    if len(fits) != 1:
        raise InvalidMesh(
            f"the unit of the mesh is ambiguous: its diameter is {sizes(raw_diameter)}; in metres "
            f"and millimetres it is no object of {SMALLEST_M}–{LARGEST_M} m: {_REMEDY}"
        )
    why = "by the format" if is_metric else "decided from the diameter"
    size = raw_diameter * METRES_PER[fits[0]]
    return fits[0], f"{fits[0]}, {why} ({raw_diameter:g} raw, {size:.3f} m)"


def sizes(raw_diameter: float) -> str:
    """Return the diameter in metres as read in each unit.

    Args:
        raw_diameter: in the unit of the file.
    """
    return ", ".join(f"{raw_diameter * metres:.3g} m if in {u}" for u, metres in METRES_PER.items())


def _stated(raw_diameter: float, unit: str) -> str:
    size = raw_diameter * METRES_PER[unit]
    if not SMALLEST_STATED_M <= size <= LARGEST_STATED_M:
        raise InvalidMesh(
            f"the mesh has a diameter of {raw_diameter:g} {unit}: too "
            f"{'small' if size < 1 else 'large'} for a camera. It is {sizes(raw_diameter)}: check "
            "the unit"
        )
    return f"{unit}, as given (diameter {size:.3f} m)"
