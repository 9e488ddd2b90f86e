"""The compiled inner loops of the coarse search."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from sam6d_ros.stages.geometric.kernels import (
    BEHIND_PENALTY,
    CONTINUES_PENALTY,
    MIN_SHOWN,
    OTHER_REGION,
    color_similarity,
    normal_agreement,
    pixel,
    placed,
    rotated,
)

MIN_SCORE = 0.08  # chance placements score less
ROUGH_POINTS = 12
ROUGH_TOLERANCE = 1.5  # of the tolerance of the full search
KEPT_ROUGH = 32  # rough views per seed that are looked at more closely
REQUIRED, SLACK = 0.09, 0.35  # per point: what a placement must have gathered to go on
SEED_COS = 0.65  # cosine between the normals of seed and anchor: a view step and noise allow this
SEED_COLOR = 0.15  # colour similarity of seed and anchor


@njit(parallel=True, cache=True, fastmath=True)
def search(  # type: ignore[no-untyped-def]
    depth, normals, lab, labels, fx, fy, cx, cy, seeds, anchors, anchor_normals, anchor_lab, points,
    point_normals, rings, colors, coarse_ids, near_ids, tol, use_color
):  # fmt: skip
    n_seed, n_anchor, n_view = len(seeds), anchors.shape[1], len(colors)
    turns, n_pts = len(points) // n_view, points.shape[1]
    rough_turns = turns // 2
    n_rough_view = len(coarse_ids) // rough_turns
    best_score = np.full((n_seed, n_view), MIN_SCORE, np.float32)
    best_id = np.full((n_seed, n_view), -1, np.int64)
    for s in prange(n_seed):
        row, col = seeds[s, 0], seeds[s, 1]
        region = labels[row, col]
        p = np.empty(3, np.float32)
        p[2] = depth[row, col]
        p[0], p[1] = (col - cx) / fx * p[2], (row - cy) / fy * p[2]
        m = np.empty((3, 3), np.float32)
        _turn_towards(p, m)
        # The seed's normal, turned back to the optical axis, meets the views' normals directly.
        sx, sy, sz = normals[row, col, 0], normals[row, col, 1], normals[row, col, 2]
        bx = m[0, 0] * sx + m[1, 0] * sy + m[2, 0] * sz
        by = m[0, 1] * sx + m[1, 1] * sy + m[2, 1] * sz
        bz = m[0, 2] * sx + m[1, 2] * sy + m[2, 2] * sz
        known = sx != 0 or sy != 0 or sz != 0
        rough_score = np.full(n_rough_view, MIN_SCORE, np.float32)
        rough_id = np.full(n_rough_view, -1, np.int64)
        for c in range(len(coarse_ids)):
            r = coarse_ids[c]
            view, rough_view = r // turns, c // rough_turns
            for a in range(n_anchor):
                if known and SEED_COS > (
                    anchor_normals[r, a, 0] * bx
                    + anchor_normals[r, a, 1] * by
                    + anchor_normals[r, a, 2] * bz
                ):
                    continue
                if use_color and SEED_COLOR > color_similarity(
                    lab[row, col, 0], lab[row, col, 1], lab[row, col, 2],
                    anchor_lab[view, a, 0], anchor_lab[view, a, 1], anchor_lab[view, a, 2],
                ):  # fmt: skip
                    continue
                score = _place(
                    depth, normals, lab, labels, region, fx, fy, cx, cy, m, p, r, a, view,
                    anchors, points, point_normals, rings, colors, ROUGH_POINTS,
                    ROUGH_TOLERANCE * tol, use_color, rough_score[rough_view],
                )  # fmt: skip
                if score > rough_score[rough_view]:
                    rough_score[rough_view] = score
                    rough_id[rough_view] = c * n_anchor + a
        for i in np.argsort(-rough_score)[:KEPT_ROUGH]:
            if rough_id[i] < 0:
                break
            c, a = rough_id[i] // n_anchor, rough_id[i] % n_anchor
            for k in range(near_ids.shape[1]):
                r = near_ids[c, k]
                view = r // turns
                score = _place(
                    depth, normals, lab, labels, region, fx, fy, cx, cy, m, p, r, a, view,
                    anchors, points, point_normals, rings, colors, n_pts, tol, use_color,
                    best_score[s, view],
                )  # fmt: skip
                if score > best_score[s, view]:
                    best_score[s, view] = score
                    best_id[s, view] = r * n_anchor + a
    return best_score, best_id


@njit(cache=True)
def _turn_towards(p, m):  # type: ignore[no-untyped-def]
    """m: the smallest rotation that turns the optical axis towards point p."""
    norm = math.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2])
    ax, ay, az = p[0] / norm, p[1] / norm, p[2] / norm
    k = 1.0 / (1.0 + az)
    m[0, 0], m[0, 1], m[0, 2] = 1 - ax * ax * k, -ax * ay * k, ax
    m[1, 0], m[1, 1], m[1, 2] = -ax * ay * k, 1 - ay * ay * k, ay
    m[2, 0], m[2, 1], m[2, 2] = -ax, -ay, az


@njit(cache=True, fastmath=True)
def _place(  # type: ignore[no-untyped-def]  # noqa: PLR0915  (one compiled pass)
    depth, normals, lab, labels, region, fx, fy, cx, cy, m, seed, r, a, view, anchors, points,
    point_normals, rings, colors, n_pts, tol, use_color, floor
):  # fmt: skip
    """Score of rotation r with anchor a on the seed; stops when it cannot exceed the floor.

    Whole arrays and indices are handed over: a view of an array costs more than what is done here.
    """
    height, width = depth.shape
    n_ring = rings.shape[1]
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
        qx, qy, qz = placed(m, seed, x, y, z)
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
            if labels[v, u] != region:
                w *= OTHER_REGION
            got += w * (1.0 - 0.5 * (e / tol) ** 2)
        else:
            shown -= 1.0
            least = floor * math.sqrt(n_pts * max(shown, MIN_SHOWN * n_pts))
    # Hidden points say nothing: they lower the score by the square root of their share only.
    score = got / math.sqrt(n_pts * max(shown, MIN_SHOWN * n_pts))
    if score <= floor:
        return -1.0
    beyond = 0
    for i in range(n_ring):
        x = rings[r, i, 0] - anchor_x
        y = rings[r, i, 1] - anchor_y
        z = rings[r, i, 2] - anchor_z
        qx, qy, qz = placed(m, seed, x, y, z)
        u, v = pixel(fx * qx / qz + cx), pixel(fy * qy / qz + cy)
        if 0 <= u < width and 0 <= v < height:
            zo = depth[v, u]
            if zo > 0 and abs(zo - qz) < tol and labels[v, u] == region:
                beyond += 1
    return score - CONTINUES_PENALTY * beyond / n_ring
