"""One CAD file becomes one ObjectModel, through the cache."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sam6d_ros.cad import cache, mesh_files
from sam6d_ros.cad.mesh import Mesh, load_mesh
from sam6d_ros.cad.model import ObjectModel, Symmetries
from sam6d_ros.cad.symmetry.detect import LOOK, SHAPE, SymmetrySurface, detect
from sam6d_ros.cad.symmetry.group import union
from sam6d_ros.cad.units import METRES_PER, decide_unit
from sam6d_ros.errors import InvalidMesh, InvalidObjects, TooLarge
from sam6d_ros.geometry.mesh import bounding_box, diameter

log = logging.getLogger(__name__)

CODE_VERSION = "7"  # raise it when the result for the same file changes


def onboard(
    path: Path | str,
    name: str | None = None,
    *,
    unit: str = "auto",
    symmetries: Symmetries | str = "auto",
    cache_dir: Path | None = None,
    confined: bool = False,
) -> ObjectModel:
    """Load and prepare a CAD file; from the cache if file and settings are unchanged.

    Args:
        path: PLY, OBJ, STL, GLB or glTF file.
        name: class id of the object; the stem of the file by default.
        unit: of the file: one of ``units.UNITS`` (see ``units.decide_unit``).
        symmetries: motions that keep the object's look (metres), "auto" to detect them from
            shape and colour, or "none". The symmetries of the shape alone are always detected.
        cache_dir: folder of the cache, or None.
        confined: refuse a mesh that refers to files outside its folder; see ``load_mesh``.

    Returns:
        The object, in metres.

    Raises:
        InvalidMesh, TooLarge: the file is unusable or its unit unclear.
        InvalidObjects: ``symmetries`` is none of the above.
    """
    path = Path(path)
    name = name or path.stem
    if isinstance(symmetries, str) and symmetries not in ("auto", "none"):
        raise InvalidObjects(f"{name}: symmetries is {symmetries!r}; expected auto or none")
    try:
        mesh_files.check_file(path)
        companions = mesh_files.companions(path, confined)
        content_hash = _content_hash([path, *companions], unit, symmetries)
        arrays = cache.load_or_build(
            f"object-{content_hash}",
            lambda: _build(load_mesh(path, confined), unit, symmetries),
            cache_dir,
        )
        model = _model(arrays, name, content_hash, path)
    except (InvalidMesh, TooLarge) as error:
        raise type(error)(f"object {name!r}: {error}") from error
    log.info("%s: %s", name, model.unit_note)
    return model


def onboard_mesh(
    mesh: Mesh,
    name: str,
    *,
    unit: str = "m",
    symmetries: Symmetries | str = "auto",
    cache_dir: Path | None = None,
) -> ObjectModel:
    """Onboard a mesh in memory; raise as ``onboard``.

    Args:
        mesh: vertices, faces and colours.
        name: class id of the object.
        unit: of the vertices.
        symmetries: "auto", "none" or the group.
        cache_dir: of onboarded objects; None for the cache folder of the user.

    Returns:
        The object.
    """
    colors = b"" if mesh.colors is None else mesh.colors.tobytes()
    parts = [mesh.vertices.tobytes(), mesh.faces.tobytes(), colors]
    content_hash = cache.digest(["mesh", *_settings(unit, symmetries), *parts])
    arrays = cache.load_or_build(
        f"object-{content_hash}", lambda: _build(mesh, unit, symmetries), cache_dir
    )
    return _model(arrays, name, content_hash, None)


def _content_hash(files: Sequence[Path], unit: str, symmetries: Symmetries | str) -> str:
    """Hash of the contents of the mesh (first) and its companions, and of the settings."""
    suffix = files[0].suffix.lower()
    contents = [file.read_bytes() for file in files]
    return cache.digest(["file", suffix, *_settings(unit, symmetries), *contents])


def _settings(unit: str, symmetries: Symmetries | str) -> list[bytes | str]:
    if isinstance(symmetries, str):
        return [CODE_VERSION, unit, symmetries]
    return [CODE_VERSION, unit, symmetries.discrete.tobytes(), symmetries.axes.tobytes()]


def _build(mesh: Mesh, unit: str, symmetries: Symmetries | str) -> cache.Arrays:
    raw_diameter = diameter(mesh.vertices)
    is_assumed = unit == "auto" and not mesh.is_metric
    unit, note = decide_unit(raw_diameter, unit, mesh.is_metric)
    # through float32 first, as the model keeps them, so that the box encloses them exactly
    vertices = (mesh.vertices * METRES_PER[unit]).astype(np.float32)
    size = raw_diameter * METRES_PER[unit]
    obj_from_box, box_size = bounding_box(vertices)
    surface = SymmetrySurface(vertices, mesh.faces, mesh.colors, size, obj_from_box)
    shape = detect(surface, SHAPE)
    if symmetries == "auto":
        look = detect(surface, LOOK) if shape.is_symmetric else Symmetries()
    else:
        look = Symmetries() if isinstance(symmetries, str) else symmetries
    shape = union(look, shape)
    arrays = {
        "vertices": vertices,
        "faces": mesh.faces,
        "diameter": np.array(size),
        "obj_from_box": obj_from_box,
        "box_size": box_size,
        "look_discrete": look.discrete,
        "look_axes": look.axes,
        "shape_discrete": shape.discrete,
        "shape_axes": shape.axes,
        "unit": np.array(unit),
        "is_unit_assumed": np.array(is_assumed),
        "unit_note": np.array("; ".join(filter(None, [note, mesh.note]))),
    }
    return arrays if mesh.colors is None else {**arrays, "colors": mesh.colors}


def _model(arrays: cache.Arrays, name: str, content_hash: str, path: Path | None) -> ObjectModel:
    return ObjectModel(
        name=name,
        vertices=arrays["vertices"],
        faces=arrays["faces"],
        colors=arrays.get("colors"),
        diameter=float(arrays["diameter"]),
        obj_from_box=arrays["obj_from_box"],
        box_size=arrays["box_size"],
        symmetries=Symmetries(arrays["look_discrete"], arrays["look_axes"]),
        shape_symmetries=Symmetries(arrays["shape_discrete"], arrays["shape_axes"]),
        content_hash=content_hash,
        source=path,
        unit_note=str(arrays["unit_note"]),
        unit=str(arrays["unit"]),
        is_unit_assumed=bool(arrays["is_unit_assumed"]),
    )
