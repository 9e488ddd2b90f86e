"""Template folders of SAM-6D: colours, mask and surface points of 42 views of one object.

Files ``rgb_N.png``, ``mask_N.png`` and ``xyz_N.npy`` with N from 0 to 41, as
render_custom_templates.py of the original writes them (github.com/JiehongLin/SAM-6D): a mask is 255
on the object, points are object coordinates in millimetres, half precision.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.cache import digest
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidObjects
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M

VIEWS = 42
CODE_VERSION = "1"  # raise it when the same files are read differently
LAYOUT = f"expected rgb_N.png, mask_N.png and xyz_N.npy for N from 0 to {VIEWS - 1}"
MIN_SIDE, MAX_SIDE = 32, 2048  # pixels; SAM-6D writes 512
MAX_FILE_BYTES = 64 * 2**20  # points of the largest image in single precision, and some
INSIDE = 255
OBJECT_MARGIN = 0.02  # of the diameter, by which a point may lie outside the box of the mesh
MIN_SPAN = 0.8  # of the longest side of the box, that the points must cover
_PNG = struct.Struct(">8s4x4sII")  # signature, first chunk with width and height
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = (np.dtype(np.float16), np.dtype(np.float32))


@dataclass(frozen=True)
class Template:
    """Files of one view.

    Attributes:
        rgb: (H, W, 3) uint8, black outside the mask.
        mask: (H, W) bool.
        points_obj: (H, W, 3) float32, metres, object frame; meaningless outside the mask.
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    points_obj: NDArray[np.float32]


def has_templates(folder: Path) -> bool:
    """Return whether a folder holds any file of a first template.

    Args:
        folder: of template files.
    """
    return any((folder / name).exists() for name in _names(0))


def signature(folder: Path) -> tuple[tuple[int, int], ...]:
    """Return time and size of each template file: another one after a change.

    Args:
        folder: of template files.

    Raises:
        InvalidObjects: a file is missing.
    """
    states = []
    for number in range(VIEWS):
        for name in _names(number):
            status = _checked(folder.resolve(), name).stat()
            states.append((status.st_mtime_ns, status.st_size))
    return tuple(states)


def with_templates(model: ObjectModel, folder: Path) -> ObjectModel:
    """Return the model with the templates of a folder; their contents are in its hash.

    Args:
        model: the object.
        folder: of template files.

    Raises:
        InvalidObjects: a file is missing or unusable, or the templates show another object.
    """
    try:
        contents = digest(_contents(model, folder.resolve()))
    except InvalidObjects as error:
        raise InvalidObjects(f"templates of {model.name!r}: {error}") from error
    content_hash = digest([model.content_hash, CODE_VERSION, contents])
    return replace(model, templates=folder.resolve(), content_hash=content_hash)


def read_template(folder: Path, number: int) -> Template:
    """Read the files of one view.

    Args:
        folder: of template files.
        number: of the view, from 0.

    Returns:
        Colours, mask and object points of the view.

    Raises:
        InvalidObjects: one is missing or unusable; names it, what was found and expected.
    """
    return _decoded(folder.resolve(), number, _read(folder.resolve(), number))


def _names(number: int) -> tuple[str, str, str]:
    return f"rgb_{number}.png", f"mask_{number}.png", f"xyz_{number}.npy"


def _contents(model: ObjectModel, folder: Path) -> Iterator[bytes]:
    """Yield the contents of all files, each checked; at the end, the object that they show."""
    box_from_obj = se3.inverse(model.obj_from_box)
    seen = []
    for number in range(VIEWS):
        data = _read(folder, number)
        template = _decoded(folder, number, data)
        points = template.points_obj[template.mask]
        if len(points):
            in_box = points @ box_from_obj[:3, :3].T + box_from_obj[:3, 3]
            seen += [in_box.min(axis=0), in_box.max(axis=0)]
        yield from data
    _check_object(model, np.array(seen).reshape(-1, 3))


def _check_object(model: ObjectModel, extremes: NDArray[np.float64]) -> None:
    """Compare extreme points (N, 3), metres in the frame of the box, with the box of the mesh."""
    if not len(extremes):
        raise InvalidObjects(f"every mask is empty; it is {INSIDE} on the object")
    beyond = float((np.abs(extremes) - model.box_size / 2).max())
    longest = int(model.box_size.argmax())
    span = float(np.ptp(extremes[:, longest]))
    if beyond > OBJECT_MARGIN * model.diameter or span < MIN_SPAN * model.box_size[longest]:
        largest = MM_PER_M * 2 * float(np.abs(extremes).max())
        raise InvalidObjects(
            f"the points span {MM_PER_M * span:.3g} mm (largest extent {largest:.3g} mm), the mesh "
            f"{MM_PER_M * model.box_size[longest]:.3g} mm; expected points of this mesh in "
            "millimetres. State the unit of the mesh, or render the templates again"
        )


def _read(folder: Path, number: int) -> tuple[bytes, bytes, bytes]:
    rgb, mask, points = (_bytes(_checked(folder, name)) for name in _names(number))
    return rgb, mask, points


def _checked(folder: Path, name: str) -> Path:
    """Return the path of a file of the folder; a link must not lead out of it."""
    path = folder / name
    if not path.is_file():
        raise InvalidObjects(f"{name} is missing in {folder}; {LAYOUT}")
    if path.resolve().parent != folder:
        raise InvalidObjects(f"{name} is a link out of {folder}; copy the file into the folder")
    return path


def _bytes(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise InvalidObjects(
            f"{path.name} has {size / 2**20:.1f} MiB; at most {MAX_FILE_BYTES >> 20} MiB are read"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidObjects(f"{path.name} cannot be read: {error.strerror}") from error


def _decoded(folder: Path, number: int, data: tuple[bytes, bytes, bytes]) -> Template:
    names = _names(number)
    rgb = _image(data[0], names[0], cv2.IMREAD_COLOR)[..., ::-1]
    mask = _image(data[1], names[1], cv2.IMREAD_GRAYSCALE) == INSIDE
    points = _points(data[2], names[2])
    for name, array in ((names[1], mask), (names[2], points)):
        if array.shape[:2] != rgb.shape[:2]:
            raise InvalidObjects(
                f"{name} is {array.shape[0]}×{array.shape[1]}, {names[0]} "
                f"{rgb.shape[0]}×{rgb.shape[1]} (height × width); expected the same size"
            )
    if not np.isfinite(points[mask]).all():
        raise InvalidObjects(f"{names[2]} has values on the object that are not finite")
    return Template(rgb * mask[..., None], mask, points.astype(np.float32) / np.float32(MM_PER_M))


def _image(data: bytes, name: str, flags: int) -> NDArray[np.uint8]:
    """Decode a PNG file after a look at its header: a small file may state a huge image."""
    signature, chunk, width, height = (
        _PNG.unpack_from(data) if len(data) >= _PNG.size else (b"", b"", 0, 0)
    )
    if signature != _PNG_SIGNATURE or chunk != b"IHDR":
        raise InvalidObjects(f"{name} is no PNG file")
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (width, height)):
        raise InvalidObjects(
            f"{name} is {height}×{width} pixels; expected sides of {MIN_SIDE} to {MAX_SIDE}"
        )
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise InvalidObjects(f"{name} cannot be decoded; is the file truncated?")
    return np.asarray(image, np.uint8)


def _points(data: bytes, name: str) -> NDArray[Any]:
    """Read an array by its header alone; nothing in the file is unpickled."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, is_fortran, kind = read(file)
    except (ValueError, KeyError, EOFError) as error:
        raise InvalidObjects(f"{name} is no NumPy array file (.npy): {error}") from error
    sides = [side for side in shape[:2] if MIN_SIDE <= side <= MAX_SIDE]
    if kind not in _KINDS or len(shape) != 3 or shape[2] != 3 or len(sides) != 2:
        raise InvalidObjects(
            f"{name} is {shape} {kind}; expected (height, width, 3) float16 or float32"
        )
    start = file.tell()
    if len(data) - start != kind.itemsize * math.prod(shape):
        raise InvalidObjects(f"{name} has {len(data)} bytes; its header states {shape} {kind}")
    array = np.frombuffer(data, kind, offset=start)
    return array.reshape(shape, order="F" if is_fortran else "C")
