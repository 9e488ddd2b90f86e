"""Object frame of a scanned surface: z up, x along the longer side, origin under the middle."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.mesh import face_areas

Array = NDArray[np.float64]

# The smallest rectangle around a mug leans to one side of its handle or to the other, with the same
# area: noise decided, and two scans of one recording had frames 117 degrees apart.
ALIKE = 1.02  # areas of rectangles between which the bulk of the surface decides
# Share of the outline that its mirror image along the principal axis must cover more than those
# along the sides of the rectangle: a search tries turns about the axes, which are to be the mug's.
MIRROR_GAIN = 0.02
OFF_MIDDLE = 0.005  # offset of the bulk from the middle, of the side, from which on it decides


def object_frame(mesh: Mesh) -> Array:
    """Return (4, 4) obj_from_stand of a surface, in metres and with z up.

    x is along the longer side of the smallest rectangle around the outline from above, or of that
    along the principal axis if the outline is more alike its mirror image there, as that of a mug.
    The bulk of the surface lies at negative x, so that x points to a handle; where two rectangles
    are alike, at negative y too.
    """
    outline = cv2.convexHull(mesh.vertices[:, :2].astype(np.float32))[:, 0].astype(np.float64)
    bulk = _bulk(mesh)[:2]
    sides = np.roll(outline, -1, 0) - outline
    turns = [_pointed(outline, bulk, angle) for angle in np.arctan2(sides[:, 1], sides[:, 0])]
    areas = np.array([np.ptp(outline @ turn.T, axis=0).prod() for turn in turns])
    order = np.argsort(areas, kind="stable")
    alike = [turns[i] for i in order[areas[order] <= ALIKE * areas.min()]]
    chosen = next(
        (turn for turn in alike if _off_middle(outline, bulk, turn)[1] < OFF_MIDDLE), alike[0]
    )
    own = _pointed(outline, bulk, _principal_angle(outline))
    if _mirrored(outline, own) > _mirrored(outline, chosen) + MIRROR_GAIN:
        chosen = own
    rotation = np.eye(3)
    rotation[:2, :2] = chosen
    turned = mesh.vertices @ rotation.T
    low, high = turned.min(0), turned.max(0)
    origin = np.array([*(low + high)[:2] / 2, low[2]])
    return se3.from_rotation_translation(rotation, -origin)


def _bulk(mesh: Mesh) -> Array:
    """Return (3,) the middle of the surface by area."""
    middles = mesh.vertices[mesh.faces].mean(1)
    return np.average(middles, axis=0, weights=face_areas(mesh.vertices, mesh.faces))


def _pointed(outline: Array, bulk: Array, angle: float) -> Array:
    """Return (2, 2) axes_from_stand along one side: x the longer one, the bulk not beyond it."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    width, height = np.ptp(outline @ turn.T, axis=0)
    if height > width:
        turn = np.array([turn[1], -turn[0]])
    return -turn if _off_middle(outline, bulk, turn)[0] > OFF_MIDDLE else turn


def _off_middle(outline: Array, bulk: Array, turn: Array) -> Array:
    """Return (2,) how far the bulk is from the middle of the rectangle, in lengths of its sides."""
    placed = outline @ turn.T
    low, high = placed.min(0), placed.max(0)
    return (turn @ bulk - (low + high) / 2) / (high - low)


def _principal_angle(outline: Array) -> float:
    """Return the angle of the axis about which a polygon (N, 2) has the least moment of area."""
    moments = cv2.moments(_centred(outline))
    return 0.5 * float(np.arctan2(2 * moments["mu11"], moments["mu20"] - moments["mu02"]))


def _mirrored(outline: Array, turn: Array) -> float:
    """Return the share of a convex polygon that its mirror image covers, the larger of two.

    The mirrors are the axes (2, 2) through the middle of the polygon's area.
    """
    local = (_centred(outline) @ turn.T).astype(np.float32)
    images = [(local * sign)[::-1].copy() for sign in np.array([[1, -1], [-1, 1]], np.float32)]
    area = cv2.contourArea(local)
    return max(cv2.intersectConvexConvex(local, image)[0] / area for image in images)


def _centred(outline: Array) -> NDArray[np.float32]:
    """Return a polygon in millimetres around the middle of its area."""
    moments = cv2.moments(outline.astype(np.float32))
    middle = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    return (1000 * (outline - middle)).astype(np.float32)
