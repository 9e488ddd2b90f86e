"""Companions and size of a CAD file, read before the file is loaded."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from sam6d_ros.cad.readers import gltf as gltf_file
from sam6d_ros.cad.readers import obj as obj_file
from sam6d_ros.cad.readers import ply as ply_file
from sam6d_ros.cad.readers.companions import MAX_BYTES, MAX_FACES, Companions
from sam6d_ros.errors import InvalidMesh

SUFFIXES = (".ply", ".obj", ".stl", ".glb", ".gltf")
METRIC_SUFFIXES = (".glb", ".gltf")  # glTF 2.0, section 3.4: all linear distances are in metres
MAX_FILE_FACES = MAX_FACES
MAX_FILE_BYTES = MAX_BYTES  # where the header states no number (OBJ, text STL, glTF)

_STL_HEADER_BYTES, _STL_FACE_BYTES = 84, 50


def check_file(path: Path) -> None:
    """Refuse a file that cannot be a usable mesh, by name, size and header alone.

    Args:
        path: of the mesh file.

    Raises:
        InvalidMesh: missing, empty, of an unknown format, or beyond ``MAX_FILE_FACES``.
    """
    # First: an answer about a file of another kind must not reveal whether it exists.
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidMesh(
            f"{path} is of the format {path.suffix[:20] or '(none)'!r}; expected one of {SUFFIXES}"
        )
    try:
        size = path.stat().st_size if path.is_file() else None
        if size:
            path.open("rb").close()
    except OSError as error:  # a folder that may not be entered, a name that is too long
        reason = error.strerror or error
        raise InvalidMesh(f"the CAD file {str(path)[:300]} cannot be read: {reason}") from error
    if size is None:
        raise InvalidMesh(f"the CAD file {path} does not exist; check the path of the mesh")
    if size == 0:
        raise InvalidMesh(f"the CAD file {path} is empty (0 bytes); export the mesh again")
    faces = count_faces(path)
    if faces is not None and faces > MAX_FILE_FACES:
        raise InvalidMesh(
            f"{path} has {faces:,} faces; at most {MAX_FILE_FACES:,} can be loaded. "
            "Decimate it first (MeshLab, Blender): 200,000 faces are plenty"
        )
    if size > MAX_FILE_BYTES:
        raise InvalidMesh(
            f"{path} has {size / 1024**3:.1f} GiB; at most {MAX_FILE_BYTES / 1024**3:.1f} "
            "GiB can be loaded. Decimate it first (MeshLab, Blender): 200,000 faces are plenty"
        )


def count_faces(path: Path) -> int | None:
    """Return the number of faces that the header states (PLY, binary STL).

    Args:
        path: of the mesh file.

    Returns:
        The number, or None if the header states none.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if path.suffix.lower() == ".ply":
        found = re.search(rb"^element\s+face\s+(\d+)", head, re.MULTILINE)
        return int(found.group(1)) if found else None
    if path.suffix.lower() == ".stl" and len(head) >= _STL_HEADER_BYTES:
        faces = int(struct.unpack("<I", head[80:84])[0])
        if path.stat().st_size == _STL_HEADER_BYTES + faces * _STL_FACE_BYTES:
            return faces
    return None


def companions(path: Path, confined: bool = False) -> list[Path]:
    """Return the existing files that the mesh refers to (materials, textures, buffers), sorted.

    A file that is referred to and missing is logged: the mesh then has no colours.

    Args:
        path: of the mesh file.
        confined: whether files outside its folder are refused.

    Raises:
        InvalidMesh: ``confined``, and the mesh refers to a file outside its folder.
    """
    found = Companions(path, confined)
    find_files(path, found)
    return sorted(found.files)


def find_files(path: Path, companions: Companions) -> None:
    """Look up the files that the mesh refers to; raise as ``companions``.

    Args:
        path: of the mesh file.
        companions: receives the files.
    """
    suffix = path.suffix.lower()
    if suffix == ".obj":
        obj_file.find_files(path, companions)
    elif suffix in METRIC_SUFFIXES:
        gltf_file.find_files(path, companions)
    elif suffix == ".ply":
        ply_file.find_files(path, companions)
