"""A CAD file becomes one plain triangle mesh with a colour per vertex."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from sam6d_ros.cad import appearance, mesh_checks, mesh_files
from sam6d_ros.cad.decimation import THIN_ABOVE, decimate, thin
from sam6d_ros.cad.readers import (
    gltf as gltf_file,
)
from sam6d_ros.cad.readers import (
    obj as obj_file,
)
from sam6d_ros.cad.readers import (
    ply as ply_file,
)
from sam6d_ros.cad.readers import (
    stl as stl_file,
)
from sam6d_ros.cad.readers.companions import Companions
from sam6d_ros.errors import InvalidMesh, ResourceExhausted, TooLarge
from sam6d_ros.geometry.mesh import face_areas

# A 15 cm object then has a vertex per square millimetre, finer than any depth camera sees;
# rendering, hashing and sampling stay quick.
MAX_FACES = 200_000
_NO_COLOR = 128  # grey of the parts without colours, where other parts have some


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh as it stands in its file.

    Attributes:
        vertices: (V, 3) float64 in the unit of the file.
        faces: (F, 3) int32.
        colors: (V, 3) uint8 RGB, or None when the file has no colours.
        is_metric: whether the format defines the metre as its unit (glTF).
        note: what was changed on loading, for the log; empty when nothing was.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    colors: NDArray[np.uint8] | None
    is_metric: bool = False
    note: str = ""


def load_mesh(path: Path | str, confined: bool = False) -> Mesh:
    """Read a PLY, OBJ, STL, GLB or glTF file.

    Scene graphs are flattened, textures, materials and face colours baked into the vertices,
    stray triangles far from the rest left out, meshes beyond ``MAX_FACES`` decimated (quadric
    error), both with a logged note.

    Args:
        path: the file.
        confined: refuse materials, textures and buffers outside the folder of the file; for files
            that came from a client.

    Returns:
        The mesh, in the unit of the file.

    Raises:
        InvalidMesh: the file is missing, empty, unreadable, beyond ``mesh_files.MAX_FILE_FACES``,
            a point cloud, its vertices are not finite or all on one line, or it refers to a file
            that it may not.
        TooLarge: all uses of its parts together have too many faces, or its textures pixels.
        ResourceExhausted: the memory of this machine does not suffice.
    """
    try:
        return _load(Path(path), confined)
    except MemoryError as error:
        raise ResourceExhausted(
            f"{Path(path).name} needs more memory than there is; decimate it first (MeshLab, "
            "Blender): 200,000 faces are plenty"
        ) from error


def _load(path: Path, confined: bool) -> Mesh:
    mesh_files.check_file(path)
    companions = Companions(path, confined)
    parts = _read(path, companions)
    size = appearance.largest_extent(parts)
    vertices, faces, colors = _merge(_vertex_colored(parts, size, companions.max_faces))
    mesh_checks.check_offset(path.name, vertices[np.unique(faces)])
    count = len(faces)
    if count > THIN_ABOVE:
        vertices, faces, colors = thin(vertices, faces, colors)
    vertices, faces, colors = _clean(path, vertices, faces, colors)
    if colors is not None and mesh_checks.is_default_color(colors):
        rgb = ", ".join(map(str, colors[0]))
        companions.warn(f"all is of one colour ({rgb}), the default of exporters: no colours")
        colors = None
    stray, note = mesh_checks.strays(vertices, faces)
    if note:
        companions.warn(note)
        vertices, faces, colors = _used(vertices, faces[~stray], colors)
    if len(faces) > MAX_FACES:
        companions.warn(f"decimated from {count:,} to about {MAX_FACES:,} faces")
        vertices, faces, colors = decimate(vertices, faces, colors, MAX_FACES)
    is_metric = path.suffix.lower() in mesh_files.METRIC_SUFFIXES
    return Mesh(vertices, faces.astype(np.int32), colors, is_metric, "; ".join(companions.notes))


def _vertex_colored(
    parts: list[trimesh.Trimesh], extent: float, most: int
) -> list[appearance.Parts]:
    """Return the parts with colours per vertex; faces with textures are split for it."""
    colored, count = [], 0
    for part in parts:
        colored.append(appearance.vertex_colored(part, extent))
        count += len(colored[-1][1])
        if count > most:
            raise TooLarge(
                f"the mesh has more than {most:,} faces after {len(colored)} of {len(parts)} "
                "parts; decimate it first (MeshLab, Blender): 200,000 faces are plenty"
            )
    return colored


def _read(path: Path, companions: Companions) -> list[trimesh.Trimesh]:
    try:
        found = _parts(path, companions)
    except (InvalidMesh, TooLarge, MemoryError):
        raise
    except Exception as error:  # a parser may raise anything on a damaged file
        raise InvalidMesh(
            f"{path} cannot be read as {path.suffix.lower()[1:].upper()}: "
            f"{type(error).__name__}: {error}. Is the file complete?"
        ) from error
    meshes = [item for item in found if isinstance(item, trimesh.Trimesh) and len(item.faces)]
    if not meshes:
        points = sum(len(getattr(item, "vertices", ())) for item in found)
        what = f"a point cloud of {points:,} points without faces" if points else "no geometry"
        remedy = "export with faces" + (", or make them: sam6d scan points" if points else "")
        raise InvalidMesh(f"{path} holds {what}; a triangle mesh is needed ({remedy})")
    for mesh in meshes:
        if not np.isfinite(mesh.vertices).all():
            bad = int((~np.isfinite(mesh.vertices)).any(1).sum())
            raise InvalidMesh(f"{path} has {bad} vertices that are NaN or infinite; repair it")
        if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
            raise InvalidMesh(
                f"{path} has faces that refer to vertex {mesh.faces.max()} of "
                f"{len(mesh.vertices)}; is the file complete?"
            )
    return meshes


def _parts(path: Path, companions: Companions) -> list[Any]:
    """Return the parts of a file in the frame of its scene, point clouds included."""
    if path.suffix.lower() == ".obj":
        return obj_file.load(path, companions)
    if path.suffix.lower() in mesh_files.METRIC_SUFFIXES:
        return gltf_file.load(path, companions)
    if path.suffix.lower() == ".ply":
        return ply_file.load(path, companions)
    parts = trimesh.load_scene(path, process=False).dump()
    return [_stl_part(path, part, companions) for part in parts]


def _stl_part(path: Path, part: Any, companions: Companions) -> Any:
    words = getattr(part, "face_attributes", {}).get("stl")
    colors = None if words is None else stl_file.face_colors(path, words, companions)
    if colors is not None:
        part.visual = trimesh.visual.ColorVisuals(part, face_colors=colors)
    return part


def _merge(parts: list[appearance.Parts]) -> appearance.Parts:
    """One mesh of several; parts without colours become grey when others have some."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _, _ in parts)])
    vertices = np.concatenate([part[0] for part in parts])
    faces = np.concatenate([part[1] + start for part, start in zip(parts, starts, strict=False)])
    if all(colors is None for _, _, colors in parts):
        return vertices, faces, None
    colors = [
        np.full((len(points), 3), _NO_COLOR, np.uint8) if rgb is None else rgb
        for points, _, rgb in parts
    ]
    return vertices, faces, np.concatenate(colors)


def _clean(
    path: Path, vertices: NDArray, faces: NDArray, colors: NDArray | None
) -> appearance.Parts:
    """Join equal vertices, drop faces without area and vertices without a face."""
    rows = vertices if colors is None else np.hstack([vertices, colors.astype(np.float64)])
    _, first, place = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    vertices, faces = vertices[first], place.ravel()[faces]
    colors = None if colors is None else colors[first]
    areas = face_areas(vertices, faces)
    span = np.ptp(vertices, axis=0).max()
    faces = faces[areas > 1e-12 * span**2]
    if not len(faces):
        raise InvalidMesh(
            f"{path} has no face with an area (extent {span:g}): the mesh is degenerate; "
            "export it again"
        )
    return _used(vertices, faces, colors)


def _used(vertices: NDArray, faces: NDArray, colors: NDArray | None) -> appearance.Parts:
    """Drop vertices without a face."""
    used, local = np.unique(faces, return_inverse=True)
    return vertices[used], local.reshape(-1, 3), None if colors is None else colors[used]
