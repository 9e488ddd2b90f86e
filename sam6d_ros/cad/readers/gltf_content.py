"""Content of glTF 2.0 files: JSON, buffers and accessors, GLB or separate files.

Reference: Khronos Group, "glTF 2.0 Specification" (ISO/IEC 12113:2022), sections 3.6 and 4.4;
KHR_mesh_quantization for integer positions and texture coordinates.
"""

from __future__ import annotations

import base64
import json
import struct
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.readers.companions import Companions
from sam6d_ros.errors import InvalidMesh, TooLarge

_GLB_HEAD = struct.Struct("<4sIIII")  # magic, version, length; chunk length, chunk type
_CHUNK = struct.Struct("<II")
_DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


class GltfContent:
    """Reader of one file.

    Args:
        path: GLB or glTF file.
        companions: gives buffers and images in other files.

    Attributes:
        tree: the JSON part.

    Raises:
        InvalidMesh: the JSON part is damaged.
    """

    def __init__(self, path: Path, companions: Companions) -> None:
        self._companions, self._path = companions, path
        text, self._own = _parts(path)
        try:
            self.tree: dict[str, Any] = json.loads(text)
            self.names = [
                str(item["uri"])
                for item in (*self.tree.get("buffers", []), *self.tree.get("images", []))
                if "uri" in item and not str(item["uri"]).startswith("data:")
            ]
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise InvalidMesh(f"{path} is not a glTF file: {error}") from error

    def find_files(self) -> None:
        """Look up the buffers and images in other files; raises as ``Companions``."""
        for name in self.names:
            self._companions.find(unquote(name))

    def accessor(self, index: int) -> NDArray[np.float64]:
        """Return the values (N, width) of an accessor; normalised integers are scaled.

        Args:
            index: number of the accessor.
        """
        item = self.tree["accessors"][index]
        values = self._plain(item).astype(np.float64)
        if item.get("normalized"):
            dtype = np.dtype(_DTYPES[item["componentType"]])
            # equations of section 3.11 for signed integers: -128 and -127 are both -1
            values = np.maximum(values / np.iinfo(dtype).max, -1.0)
        return values

    def image(self, index: int) -> tuple[bytes | None, str]:
        """Return the bytes of an image and its name; None where the file is missing.

        Args:
            index: number of the image.
        """
        item = self.tree["images"][index]
        if "bufferView" in item:
            return self._view(item["bufferView"])[0], f"image {index}"
        uri = str(item.get("uri", ""))
        if uri.startswith("data:"):
            return _data(uri), f"image {index}"
        return self._companions.read(unquote(uri)), unquote(uri)

    def _plain(self, item: dict[str, Any]) -> NDArray:
        count, width = int(item["count"]), _WIDTHS[item["type"]]
        if not 0 <= count <= 3 * self._companions.max_faces:
            raise TooLarge(
                f"{self._path} has an accessor of {count:,} values; at most "
                f"{3 * self._companions.max_faces:,} are read. Decimate it first"
            )
        dtype = np.dtype(_DTYPES[item["componentType"]])
        if "bufferView" in item:
            values = self._rows(item, item["bufferView"], count, width, dtype)
        else:
            values = np.zeros((count, width), dtype)
        if (sparse := item.get("sparse")) is not None:
            places, new = sparse["indices"], sparse["values"]
            number, kind = int(sparse["count"]), np.dtype(_DTYPES[places["componentType"]])
            rows = self._rows(places, places["bufferView"], number, 1, kind).ravel()
            values = values.copy()
            values[rows] = self._rows(new, new["bufferView"], number, width, dtype)
        return values

    def _rows(
        self, item: dict[str, Any], view: int, count: int, width: int, dtype: np.dtype
    ) -> NDArray:
        data, stride = self._view(view)
        strides = (stride or width * dtype.itemsize, dtype.itemsize)
        return np.ndarray((count, width), dtype, data, int(item.get("byteOffset", 0)), strides)

    def _view(self, index: int) -> tuple[bytes, int]:
        view = self.tree["bufferViews"][index]
        start = int(view.get("byteOffset", 0))
        data = self._buffers[view["buffer"]][start : start + int(view["byteLength"])]
        if len(data) < int(view["byteLength"]):
            raise InvalidMesh(f"{self._path} ends before its buffer view {index}; is it complete?")
        return data, int(view.get("byteStride", 0))

    @cached_property
    def _buffers(self) -> list[bytes]:
        return [self._buffer(item) for item in self.tree.get("buffers", [])]

    def _buffer(self, item: dict[str, Any]) -> bytes:
        uri = item.get("uri")
        if uri is None:
            return self._own
        if str(uri).startswith("data:"):
            return _data(str(uri))
        data = self._companions.read(unquote(str(uri)))
        if data is None:
            raise InvalidMesh(f"{self._path} needs {uri!r:.200}, which does not exist")
        return data


def _parts(path: Path) -> tuple[bytes, bytes]:
    """Return the JSON and the binary chunk of a file (section 4.4)."""
    content = path.read_bytes()
    if path.suffix.lower() != ".glb":
        return content, b""
    if len(content) < _GLB_HEAD.size or content[:4] != b"glTF":
        raise InvalidMesh(f"{path} cannot be read as GLB: it does not begin with 'glTF'")
    _, version, _, length, _ = _GLB_HEAD.unpack_from(content)
    if version != 2 or _GLB_HEAD.size + length > len(content):
        raise InvalidMesh(
            f"{path} cannot be read as GLB: version {version}, {length} bytes of JSON in a file of "
            f"{len(content)}; expected version 2. Is the file complete?"
        )
    end = _GLB_HEAD.size + length
    text, rest = content[_GLB_HEAD.size : end], content[end:]
    if len(rest) < _CHUNK.size:
        return text, b""
    return text, rest[_CHUNK.size : _CHUNK.size + _CHUNK.unpack_from(rest)[0]]


def _data(uri: str) -> bytes:
    head, _, text = uri.partition(",")
    return base64.b64decode(text) if head.endswith(";base64") else unquote(text).encode("latin-1")
