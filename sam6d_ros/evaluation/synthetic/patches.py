"""Coloured surfaces from which the synthetic objects are put together. Metres, z up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Paint = Image | tuple[int, int, int]

SPACING_M = 0.0016  # of the vertices: about a pixel of a 640-pixel camera at one metre


@dataclass(frozen=True)
class Solid:
    """A mesh of one or several patches: vertices (V, 3) metres, faces (F, 3), colours (V, 3)."""

    vertices: Array
    faces: NDArray[np.int32]
    colors: Image

    def moved(self, offset: Sequence[float], rotation: Array | None = None) -> Solid:
        """The solid turned, then shifted."""
        vertices = self.vertices if rotation is None else self.vertices @ rotation.T
        return Solid(vertices + np.asarray(offset), self.faces, self.colors)


def join(*solids: Solid) -> Solid:
    """Several solids as one."""
    starts = np.cumsum([0, *(len(solid.vertices) for solid in solids[:-1])])
    return Solid(
        np.concatenate([solid.vertices for solid in solids]),
        np.concatenate(
            [solid.faces + start for solid, start in zip(solids, starts, strict=True)]
        ).astype(np.int32),
        np.concatenate([solid.colors for solid in solids]),
    )


def patch(
    surface: Callable[[Array, Array], Array], size: tuple[float, float], paint: Paint
) -> Solid:
    """Build a grid over a surface.

    Args:
        surface: maps u, v in [0, 1] (any shape) to points (…, 3).
        size: its extent along u and v in metres, for the density of the grid.
        paint: an image with u to the right and v down, or one colour.

    Returns:
        The surface.
    """
    count = [max(2, int(np.ceil(extent / SPACING_M)) + 1) for extent in size]
    v, u = np.meshgrid(np.linspace(0, 1, count[1]), np.linspace(0, 1, count[0]), indexing="ij")
    index = np.arange(u.size).reshape(u.shape)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    points = surface(u, v).reshape(-1, 3)
    return Solid(points, faces.astype(np.int32), _paint(paint, u.shape))


def _paint(paint: Paint, shape: tuple[int, ...]) -> Image:
    if isinstance(paint, tuple):
        return np.tile(np.array(paint, np.uint8), (int(np.prod(shape)), 1))
    return cv2.resize(paint, shape[::-1], interpolation=cv2.INTER_AREA).reshape(-1, 3)


def quad(
    corner: Sequence[float], right: Sequence[float], down: Sequence[float], paint: Paint
) -> Solid:
    """A flat parallelogram from its upper left corner."""
    origin, along, across = (np.asarray(x, np.float64) for x in (corner, right, down))
    size = (float(np.linalg.norm(along)), float(np.linalg.norm(across)))
    return patch(lambda u, v: origin + u[..., None] * along + v[..., None] * across, size, paint)


def box(size: tuple[float, float, float], paints: Sequence[Paint]) -> Solid:
    """A box around the origin; paints of front (-y), back, left (-x), right, top, bottom."""
    x, y, z = (s / 2 for s in size)
    front, back, left, right, top, bottom = paints
    return join(
        quad((-x, -y, z), (2 * x, 0, 0), (0, 0, -2 * z), front),
        quad((x, y, z), (-2 * x, 0, 0), (0, 0, -2 * z), back),
        quad((-x, y, z), (0, -2 * y, 0), (0, 0, -2 * z), left),
        quad((x, -y, z), (0, 2 * y, 0), (0, 0, -2 * z), right),
        quad((-x, y, z), (2 * x, 0, 0), (0, -2 * y, 0), top),
        quad((-x, -y, -z), (2 * x, 0, 0), (0, 2 * y, 0), bottom),
    )


def lathe(profile: Sequence[tuple[float, float]], paint: Paint, squash: float = 1.0) -> Solid:
    """Build a surface of revolution: a profile, from top to bottom, turned about z.

    Args:
        profile: radius and z of each point, metres.
        paint: the image wraps around once; its left edge looks towards -y.
        squash: scale of y, for bottles with an oval section.

    Returns:
        The surface.
    """
    points = np.asarray(profile, np.float64)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    at = np.concatenate([[0], np.cumsum(lengths)]) / lengths.sum()

    def surface(u: Array, v: Array) -> Array:
        radius, z = np.interp(v, at, points[:, 0]), np.interp(v, at, points[:, 1])
        angle = 2 * np.pi * u - np.pi / 2
        return np.stack([radius * np.cos(angle), squash * radius * np.sin(angle), z], -1)

    return patch(surface, (2 * np.pi * points[:, 0].max(), float(lengths.sum())), paint)


def disc(radius: float, z: float, paint: Paint, squash: float = 1.0) -> Solid:
    """A flat disc facing up or down."""

    def surface(u: Array, v: Array) -> Array:
        x, y = 2 * u - 1, 1 - 2 * v
        # the square mapped onto the disc, concentric (Shirley and Chiu, 1997)
        big = np.maximum(np.abs(x), np.abs(y))
        norm = np.maximum(np.hypot(x, y), 1e-12)
        px, py = x / norm * big * radius, y / norm * big * radius
        return np.stack([px, squash * py, np.full_like(px, z)], -1)

    return patch(surface, (2 * radius, 2 * radius), paint)


def ellipsoid(radii: tuple[float, float, float], paint: Paint) -> Solid:
    """An ellipsoid around the origin; the image wraps around as on a globe, seam towards -y."""

    def surface(u: Array, v: Array) -> Array:
        angle, polar = 2 * np.pi * u - np.pi / 2, np.pi * v
        ring = np.sin(polar)
        return np.stack([ring * np.cos(angle), ring * np.sin(angle), np.cos(polar)], -1) * radii

    size = (2 * np.pi * max(radii[:2]), np.pi * max(radii))
    return patch(surface, size, paint)


def tube(path: Array, radius: float | Array, paint: Paint) -> Solid:
    """A round tube along a path (P, 3), which must not run along y; closed by rounding off."""
    path = np.asarray(path, np.float64)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.cross(tangent, [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, tangent)
    radii = np.broadcast_to(radius, len(path))
    at = np.linspace(0, 1, len(path))

    def surface(u: Array, v: Array) -> Array:
        def along(values: Array) -> Array:
            columns = np.atleast_2d(values.T)
            return np.stack([np.interp(v, at, column) for column in columns], -1)

        angle = 2 * np.pi * u[..., None]
        ring = np.cos(angle) * along(side) + np.sin(angle) * along(up)
        return along(path) + along(radii) * ring

    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    return patch(surface, (2 * np.pi * float(radii.max()), length), paint)
