"""What belongs to a CAD file, and how large it is, told before it is loaded."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from sam6d_ros.cad import gltf_file, obj_file, ply_file
from sam6d_ros.cad.companions import MAX_BYTES, MAX_FACES, Companions
from sam6d_ros.errors import InvalidMesh

SUFFIXES = (".ply", ".obj", ".stl", ".glb", ".gltf")
METRIC_SUFFIXES = (".glb", ".gltf")  # glTF 2.0, section 3.4: all linear distances are in metres
MAX_FILE_FACES = MAX_FACES
MAX_FILE_BYTES = MAX_BYTES  # where the header does not tell (OBJ, text STL, glTF)

_STL_HEADER_BYTES, _STL_FACE_BYTES = 84, 50


def check_file(path: Path) -> None:
    """Refuse a file that cannot be a usable mesh, by name, size and header alone.

    Raises:
        InvalidMesh: missing, empty, of an unknown format, or beyond ``MAX_FILE_FACES``.
    """
    if not path.is_file():
        raise InvalidMesh(f"the CAD file {path} does not exist; check the path of the mesh")
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidMesh(
            f"{path} is of the format {path.suffix or '(none)'!r}; expected one of {SUFFIXES}"
        )
    size = path.stat().st_size
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
    """Number of faces that the header states (PLY, binary STL); None when it states none."""
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

    Raises:
        InvalidMesh: ``confined``, and the mesh refers to a file outside its folder.
    """
    found = Companions(path, confined)
    find_files(path, found)
    return sorted(found.files)


def find_files(path: Path, companions: Companions) -> None:
    """Look up the files that the mesh refers to; raises the same."""
    suffix = path.suffix.lower()
    if suffix == ".obj":
        obj_file.find_files(path, companions)
    elif suffix in METRIC_SUFFIXES:
        gltf_file.find_files(path, companions)
    elif suffix == ".ply":
        ply_file.find_files(path, companions)
