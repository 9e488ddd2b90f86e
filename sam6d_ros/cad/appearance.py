"""Colours of a mesh, whatever form they have in the file, as one RGB triple per vertex."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from sam6d_ros.cad.readers.companions import rgb_image
from sam6d_ros.geometry.color import linear_from_srgb, srgb_from_linear
from sam6d_ros.geometry.mesh import face_areas

# Edges of a textured mesh are split down to this share of the longest side, so that the print on a
# box survives in the colours of its vertices (about 1.5 mm on a cereal box).
TEXTURE_EDGE = 1 / 150
MAX_TEXTURED_FACES = 150_000

Parts = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.uint8] | None]


def vertex_colored(mesh: trimesh.Trimesh, extent: float) -> Parts:
    """The mesh with its appearance baked into the vertices.

    Args:
        mesh: one part as trimesh loads it.
        extent: of the whole object, in the unit of the mesh.

    Returns:
        vertices (V, 3), faces (F, 3), colours (V, 3) uint8 RGB or None when the file has none.
    """
    visual: Any = mesh.visual
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    kind = getattr(visual, "kind", None)
    if kind == "vertex":
        return vertices, faces, np.asarray(visual.vertex_colors, np.uint8)[:, :3]
    if kind == "face":
        colors = np.asarray(visual.face_colors, np.uint8)[:, :3].repeat(3, axis=0)
        return vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3), colors
    if kind == "texture":
        return _textured(visual, vertices, faces, extent)
    return vertices, faces, None


def _textured(
    visual: Any, vertices: NDArray[np.float64], faces: NDArray[np.int64], extent: float
) -> Parts:
    image = getattr(visual.material, "image", None)
    uv = None if visual.uv is None else np.asarray(visual.uv, np.float64)
    if image is None or uv is None or uv.shape != (len(vertices), 2):
        return vertices, faces, None
    factor = visual.vertex_attributes.get("linear_color")
    columns = [vertices, uv] if factor is None else [vertices, uv, factor]
    attributes = np.hstack(columns)
    edge = _affordable_edge(vertices, faces, extent * TEXTURE_EDGE)
    attributes, faces = split_long_edges(attributes, faces, edge)
    image = _reduce(rgb_image(image), attributes, faces)
    texels = trimesh.visual.color.uv_to_interpolated_color(attributes[:, 3:5], image)
    rgb = np.asarray(texels, np.float64)[:, :3]
    if factor is not None:
        product = linear_from_srgb(rgb / 255) * attributes[:, 5:8]
        rgb = srgb_from_linear(product.clip(0, 1)) * 255
    return attributes[:, :3], faces, np.clip(rgb + 0.5, 0, 255).astype(np.uint8)


def _reduce(image: Image.Image, attributes: NDArray, faces: NDArray) -> Image.Image:
    """Average the image down to about two texels per vertex, so that fine print does not alias."""
    size = np.array(image.size)
    texels = np.zeros((len(attributes), 3))
    texels[:, :2] = attributes[:, 3:5] * size
    texels_per_face = np.median(face_areas(texels, faces))
    step = int(np.sqrt(2 * texels_per_face) / 2)
    return image.reduce(step) if 1 < step < size.min() else image


def _splits(vertices: NDArray, faces: NDArray, edge: float) -> NDArray[np.int64]:
    """Return how often (F,) to halve each face until no edge is longer than ``edge``."""
    corners = vertices[faces][:, :, :3]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
    return np.ceil(np.log2(np.maximum(longest / edge, 1))).astype(np.int64)


def _affordable_edge(vertices: NDArray, faces: NDArray, edge: float) -> float:
    """The edge length, or a longer one that keeps the mesh below ``MAX_TEXTURED_FACES``."""
    while True:
        splits = _splits(vertices, faces, edge)
        if not splits.any() or (4.0**splits).sum() <= MAX_TEXTURED_FACES:
            return edge
        edge *= 1.1


def split_long_edges(
    attributes: NDArray[np.float64], faces: NDArray[np.int64], edge: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Split faces into four until no edge is longer; attributes (V, A), position first.

    Neighbours may be split differently: the corners then lie on each other's edges, which closes
    the surface all the same.

    Args:
        attributes: (V, A) values of the vertices, position first.
        faces: (F, 3) indices of vertices.
        edge: longest edge, in the unit of the positions.

    Returns:
        Attributes (V', A) and faces (F', 3) of the finer mesh.
    """
    levels = _splits(attributes, faces, edge)
    out_attributes, out_faces, start = [], [], 0
    for level in np.unique(levels):
        part, local = np.unique(faces[levels == level], return_inverse=True)
        values, triangles = attributes[part], local.reshape(-1, 3)
        for _ in range(level):
            values, triangles = trimesh.remesh.subdivide(values, triangles)
        out_attributes.append(values)
        out_faces.append(np.asarray(triangles, np.int64) + start)
        start += len(values)
    return np.concatenate(out_attributes), np.concatenate(out_faces)


def largest_extent(meshes: list[trimesh.Trimesh]) -> float:
    """Return the longest side of the box around all parts, in their unit.

    Args:
        meshes: the parts.
    """
    return float(np.ptp(np.concatenate([mesh.bounds for mesh in meshes]), axis=0).max())
