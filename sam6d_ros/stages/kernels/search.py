"""The compiled inner loops of the coarse search."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sam6d_ros.stages.kernels.common import (
    BEHIND_PENALTY,
    CONTINUES_PENALTY,
    MIN_SHOWN,
    color_similarity,
    njit_leaf,
    normal_agreement,
    pixel,
    placed,
    rotated,
)

MIN_SCORE = 0.08  # chance placements score less
ROUGH_POINTS = 12
ROUGH_TOLERANCE = 1.5  # of the tolerance of the full search
KEPT_ROUGH = 20  # rough views per seed that are looked at more closely
REQUIRED, SLACK = 0.09, 0.35  # per point: what a placement must have gathered to go on
SEED_COS = 0.65  # cosine between the normals of seed and anchor: a view step and noise allow this
SEED_COLOR = 0.15  # colour similarity of seed and anchor


class _Effort(NamedTuple):
    """Effort for one placement: points, tolerance of the depth in metres, colours or not."""

    points: int
    tolerance: float
    use_color: bool


class _Seed(NamedTuple):
    """A point of the scene: rotation (3, 3) of the optical axis to it, point (3,), region."""

    rotation: NDArray[np.float32]
    point: NDArray[np.float32]
    region: int


@njit(cache=True, fastmath=True, nogil=True)
def search(maps, camera, seeds, views, tol, use_color):  # type: ignore[no-untyped-def]
    """Return the best placement of each view on each seed.

    Args:
        maps: RgbdMaps of the scene.
        camera: Pinhole.
        seeds: (S, 2) int64 row and column.
        views: RotatedViews of the object.
        tol: tolerance of the depth, metres.
        use_color: whether colours are compared.

    Returns:
        Scores (S, V) float32, and numbers (S, V) int64 (rotated view · A + anchor), -1 = none.
    """
    n_seed, n_view, n_anchor = len(seeds), len(views.lab), views.anchors.shape[1]
    turns = len(views.points) // n_view
    n_rough_view = len(views.rough_ids) // (turns // 2)
    best_score = np.full((n_seed, n_view), MIN_SCORE, np.float32)
    best_id = np.full((n_seed, n_view), -1, np.int64)
    rough = _Effort(ROUGH_POINTS, ROUGH_TOLERANCE * tol, use_color)
    full = _Effort(views.points.shape[1], tol, use_color)
    for s in range(n_seed):
        row, col = seeds[s, 0], seeds[s, 1]
        p = np.empty(3, np.float32)
        p[2] = maps.depth[row, col]
        p[0] = (col - camera.cx) / camera.fx * p[2]
        p[1] = (row - camera.cy) / camera.fy * p[2]
        m = np.empty((3, 3), np.float32)
        _turn_towards(p, m)
        seed = _Seed(m, p, maps.labels[row, col])
        rough_score = np.full(n_rough_view, MIN_SCORE, np.float32)
        rough_id = np.full(n_rough_view, -1, np.int64)
        _search_roughly(maps, camera, views, rough, seed, seeds[s], rough_score, rough_id)
        for i in np.argsort(-rough_score)[:KEPT_ROUGH]:
            if rough_id[i] < 0:
                break
            c, a = rough_id[i] // n_anchor, rough_id[i] % n_anchor
            for k in range(views.near_ids.shape[1]):
                r = views.near_ids[c, k]
                view = r // turns
                score = _place(maps, camera, views, full, seed, r, a, best_score[s, view])
                if score > best_score[s, view]:
                    best_score[s, view] = score
                    best_id[s, view] = r * n_anchor + a
    return best_score, best_id


@njit_leaf
def _search_roughly(maps, camera, views, effort, seed, pixel_rc, best_score, best_id):  # type: ignore[no-untyped-def]
    """Write score and number (rough view · A + anchor) of the best placement of each rough view."""
    n_anchor, lab = views.anchors.shape[1], maps.lab
    turns = len(views.points) // len(views.lab)
    row, col, m, n = pixel_rc[0], pixel_rc[1], seed.rotation, views.anchor_normals
    # The seed's normal, turned back to the optical axis, meets the views' normals directly.
    sx, sy, sz = maps.normals[row, col, 0], maps.normals[row, col, 1], maps.normals[row, col, 2]
    bx = m[0, 0] * sx + m[1, 0] * sy + m[2, 0] * sz
    by = m[0, 1] * sx + m[1, 1] * sy + m[2, 1] * sz
    bz = m[0, 2] * sx + m[1, 2] * sy + m[2, 2] * sz
    known = sx != 0 or sy != 0 or sz != 0
    for c in range(len(views.rough_ids)):
        r = views.rough_ids[c]
        view, rough_view = r // turns, c // (turns // 2)
        for a in range(n_anchor):
            if known and SEED_COS > n[r, a, 0] * bx + n[r, a, 1] * by + n[r, a, 2] * bz:
                continue
            if effort.use_color and SEED_COLOR > color_similarity(
                lab[row, col, 0], lab[row, col, 1], lab[row, col, 2],
                views.anchor_lab[view, a, 0], views.anchor_lab[view, a, 1],
                views.anchor_lab[view, a, 2],
            ):  # fmt: skip
                continue
            score = _place(maps, camera, views, effort, seed, r, a, best_score[rough_view])
            if score > best_score[rough_view]:
                best_score[rough_view] = score
                best_id[rough_view] = c * n_anchor + a


@njit(cache=True)
def _turn_towards(p, m):  # type: ignore[no-untyped-def]
    """m: the smallest rotation that turns the optical axis towards point p."""
    norm = math.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2])
    ax, ay, az = p[0] / norm, p[1] / norm, p[2] / norm
    k = 1.0 / (1.0 + az)
    m[0, 0], m[0, 1], m[0, 2] = 1 - ax * ax * k, -ax * ay * k, ax
    m[1, 0], m[1, 1], m[1, 2] = -ax * ay * k, 1 - ay * ay * k, ay
    m[2, 0], m[2, 1], m[2, 2] = -ax, -ay, az


@njit_leaf
def _place(maps, camera, views, effort, seed, r, a, floor):  # type: ignore[no-untyped-def]  # noqa: PLR0915  (one compiled pass)
    """Return the score of rotation r with anchor a on the seed; -1 below the floor.

    Whole arrays and indices are used: a view of an array costs more than this function.
    """
    depth, normals, lab, labels = maps
    fx, fy, cx, cy = camera
    m, point, region = seed
    n_pts, tol, use_color = effort
    anchors, points, contour = views.anchors, views.points, views.offset_contour
    point_normals, colors = views.normals, views.lab
    view = r // (len(points) // len(colors))
    height, width = depth.shape
    n_contour = contour.shape[1]
    anchor_x, anchor_y, anchor_z = anchors[r, a, 0], anchors[r, a, 1], anchors[r, a, 2]
    got = 0.0
    shown = float(n_pts)  # points that nothing hides
    least = floor * n_pts
    for i in range(n_pts):
        # Below what the rest could still bring, or hopeless after a fair sample.
        if got + n_pts - i < least or (i & 3 == 0 and got < REQUIRED * i - SLACK):
            return -1.0
        x = points[r, i, 0] - anchor_x
        y = points[r, i, 1] - anchor_y
        z = points[r, i, 2] - anchor_z
        qx, qy, qz = placed(m, point, x, y, z)
        u, v = pixel(fx * qx / qz + cx), pixel(fy * qy / qz + cy)
        if u < 0 or v < 0 or u >= width or v >= height:
            continue
        zo = depth[v, u]
        if zo <= 0:
            continue
        e = zo - qz
        if e > tol:
            got -= BEHIND_PENALTY
        elif e > -tol:
            x, y, z = rotated(
                m, point_normals[r, i, 0], point_normals[r, i, 1], point_normals[r, i, 2]
            )
            w = normal_agreement(x, y, z, normals[v, u, 0], normals[v, u, 1], normals[v, u, 2])
            if use_color and w > 0:
                w *= color_similarity(
                    lab[v, u, 0], lab[v, u, 1], lab[v, u, 2],
                    colors[view, i, 0], colors[view, i, 1], colors[view, i, 2],
                )  # fmt: skip
            got += w * (1.0 - 0.5 * (e / tol) ** 2)
        else:
            shown -= 1.0
            least = floor * math.sqrt(n_pts * max(shown, MIN_SHOWN * n_pts))
    # Hidden points are no evidence: they lower the score by the square root of their share only.
    score = got / math.sqrt(n_pts * max(shown, MIN_SHOWN * n_pts))
    if score <= floor:
        return -1.0
    beyond = 0
    for i in range(n_contour):
        x = contour[r, i, 0] - anchor_x
        y = contour[r, i, 1] - anchor_y
        z = contour[r, i, 2] - anchor_z
        qx, qy, qz = placed(m, point, x, y, z)
        u, v = pixel(fx * qx / qz + cx), pixel(fy * qy / qz + cy)
        if 0 <= u < width and 0 <= v < height:
            zo = depth[v, u]
            if zo > 0 and abs(zo - qz) < tol and labels[v, u] == region:
                beyond += 1
    return score - CONTINUES_PENALTY * beyond / n_contour
