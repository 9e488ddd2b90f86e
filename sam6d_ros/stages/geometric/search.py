"""Coarse search: every view, with in-plane turns, placed on every seed point of the scene."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.stages.geometric.kernels import color_similarity, normal_agreement
from sam6d_ros.stages.geometric.scene import SceneMaps
from sam6d_ros.stages.geometric.templates import ANCHORS, SAFE_POINTS, ViewTemplates

TURNS = 24  # in-plane, 15° apart
SEARCH_POINTS = SAFE_POINTS
SEARCH_RINGS = 12
PER_VIEW = 2  # placements of one view in one region that are kept
ROUGH_VIEWS = 54  # about 28° apart
ROUGH_POINTS = 12
ROUGH_TOLERANCE = 1.5  # of the tolerance of the full search
KEPT_ROUGH = 32  # rough views per seed that are looked at more closely
NEAR_ROTATIONS = 24  # full-search rotations around each rough one
MIN_SCORE = 0.08  # chance placements score less
OTHER_REGION = 0.7  # weight of a match outside the seed's region: regions may split an object
REQUIRED, SLACK = 0.09, 0.35  # per point: what a placement must have gathered to go on
MIN_SHOWN = 0.3  # share of an object that must be visible to count in full
SEED_COS = 0.65  # cosine between the normals of seed and anchor: a view step and noise allow this
SEED_COLOR = 0.15  # colour similarity of seed and anchor
TOLERANCE = 0.08  # in diameters: half a view step moves the rim by this much
SAME_SHIFT = 0.06  # in diameters
SAME_ANGLE = np.radians(12)
BEHIND_PENALTY = 0.6  # the scene is seen where the object should block it
CONTINUES_PENALTY = 0.4  # the region goes on past the silhouette


@dataclass(frozen=True)
class Hypotheses:
    """N guesses of one object's pose.

    Attributes:
        rotation: (N, 3, 3) float64, cam_from_obj.
        translation: (N, 3) float64 metres.
        score: (N,) float32, comparable within one object only.
        region: (N,) int64, the region whose seed it grew from.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    score: NDArray[np.float32]
    region: NDArray[np.int64]

    @property
    def poses(self) -> NDArray[np.float64]:
        """(N, 4, 4) cam_from_obj."""
        return se3.from_rotation_translation(self.rotation, self.translation)

    @classmethod
    def from_poses(
        cls, poses: NDArray[np.float64], score: NDArray, region: NDArray[np.int64]
    ) -> Hypotheses:
        """From (N, 4, 4) cam_from_obj."""
        rotation = np.ascontiguousarray(poses[:, :3, :3])
        translation = np.ascontiguousarray(poses[:, :3, 3])
        return cls(rotation, translation, np.asarray(score, np.float32), region)

    @classmethod
    def joined(cls, *parts: Hypotheses) -> Hypotheses:
        """All of several sets, in order."""
        arrays = [[getattr(part, f.name) for part in parts] for f in fields(cls)]
        return cls(*(np.concatenate(values) for values in arrays))

    def take(self, index: NDArray) -> Hypotheses:
        """The chosen ones."""
        return Hypotheses(
            self.rotation[index], self.translation[index], self.score[index], self.region[index]
        )

    def with_score_unsorted(self, score: NDArray) -> Hypotheses:
        """The same poses, in the same order, with other scores."""
        return replace(self, score=np.asarray(score, np.float32))

    def with_score(self, score: NDArray) -> Hypotheses:
        """The same poses with other scores, best first."""
        scored = self.with_score_unsorted(score)
        return scored.take(np.argsort(-scored.score, kind="stable"))

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True)
class Seeds:
    """S scene points on which views are placed.

    Attributes:
        pixels_rc: (S, 2) int64 pixels as (row, column) at the working size.
        region: (S,) int64 index of the region each lies in.
    """

    pixels_rc: NDArray[np.int64]
    region: NDArray[np.int64]


def diverse(
    hypotheses: Hypotheses, centre_obj: NDArray, diameter: float, per_region: int
) -> Hypotheses:
    """The best of every region that differ by SAME_SHIFT or SAME_ANGLE from better ones there.

    A quota for each region keeps a partly hidden object in the race against a large clean surface
    that happens to resemble it.
    """
    ranked = hypotheses.with_score(hypotheses.score)
    centres = ranked.rotation @ centre_obj + ranked.translation
    n_region = int(ranked.region.max(initial=-1)) + 1
    kept = _diverse(
        ranked.rotation, centres, ranked.region, SAME_SHIFT * diameter, np.cos(SAME_ANGLE),
        per_region, n_region,
    )  # fmt: skip
    return ranked.take(kept)


@njit(cache=True)
def _diverse(rotation, centres, region, shift, cos_angle, quota, n_region):  # type: ignore[no-untyped-def]
    kept = np.empty((n_region, quota), np.int64)
    count = np.zeros(n_region, np.int64)
    chosen = np.zeros(len(centres), np.bool_)
    for i in range(len(centres)):
        g = region[i]
        if count[g] == quota:
            continue
        fresh = True
        for j in range(count[g]):
            k = kept[g, j]
            d2 = 0.0
            trace = 0.0
            for a in range(3):
                d2 += (centres[i, a] - centres[k, a]) ** 2
                for b in range(3):
                    trace += rotation[i, a, b] * rotation[k, a, b]
            if d2 < shift * shift and (trace - 1) / 2 > cos_angle:
                fresh = False
                break
        if fresh:
            kept[g, count[g]] = i
            count[g] += 1
            chosen[i] = True
    return np.flatnonzero(chosen)


@dataclass(frozen=True)
class TurnedViews:
    """The first points of every view in every in-plane turn, relative to its first anchor.

    ``rough_ids`` (F,) is a sparse subset of these rotations that is tried first, ``near_ids``
    (F, NEAR_ROTATIONS) the rotations around each of them.
    """

    rotation: NDArray[np.float32]
    anchors: NDArray[np.float32]
    anchor_normals: NDArray[np.float32]
    anchor_lab: NDArray[np.float32]
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    rings: NDArray[np.float32]
    lab: NDArray[np.float32]
    rough_ids: NDArray[np.int64]
    near_ids: NDArray[np.int64]


def turn_views(templates: ViewTemplates) -> TurnedViews:
    """Turn every view by TURNS in-plane angles; (V·TURNS, …) arrays in view coordinates."""
    angles = 2 * np.pi * np.arange(TURNS) / TURNS
    turn = np.zeros((TURNS, 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angles)
    turn[:, 1, 0] = np.sin(angles)
    turn[:, 0, 1] = -turn[:, 1, 0]
    turn[:, 2, 2] = 1
    rotation = np.einsum("tij,vjk->vtik", turn, templates.view_from_obj).reshape(-1, 3, 3)
    middle = templates.anchors[:, :1]
    rough = _rough_rotations(templates)

    def turned(values: NDArray) -> NDArray[np.float32]:
        repeated = np.repeat(values, TURNS, axis=0)
        return np.ascontiguousarray(repeated @ rotation.transpose(0, 2, 1), np.float32)

    return TurnedViews(
        rotation=rotation.astype(np.float32),
        anchors=turned(templates.anchors - middle),
        anchor_normals=turned(templates.anchor_normals),
        anchor_lab=templates.anchor_lab,
        points=turned(templates.points[:, :SEARCH_POINTS] - middle),
        normals=turned(templates.normals[:, :SEARCH_POINTS]),
        rings=turned(templates.rings[:, :SEARCH_RINGS] - middle),
        lab=np.ascontiguousarray(templates.lab[:, :SEARCH_POINTS]),
        rough_ids=rough,
        near_ids=_nearest_rotations(rotation[rough], rotation),
    )


def _rough_rotations(templates: ViewTemplates) -> NDArray[np.int64]:
    """Indices of a sparse subset of all turned views: well-spread views, every other turn."""
    forward = templates.view_from_obj[:, 2].astype(float)
    chosen = [0]
    distance = np.full(len(forward), np.inf)
    while len(chosen) < min(ROUGH_VIEWS, len(forward)):
        distance = np.minimum(distance, 1 - forward @ forward[chosen[-1]])
        chosen.append(int(distance.argmax()))
    return (np.array(chosen)[:, None] * TURNS + np.arange(0, TURNS, 2)).ravel()


def _nearest_rotations(few: NDArray, all_: NDArray) -> NDArray[np.int64]:
    """(F, NEAR_ROTATIONS) indices of the rotations with the smallest angle to each of a few."""
    cosine = few.reshape(-1, 9) @ all_.reshape(-1, 9).T
    return np.argpartition(-cosine, NEAR_ROTATIONS, axis=1)[:, :NEAR_ROTATIONS]


def coarse_search(
    scene: SceneMaps,
    labels: NDArray[np.int32],
    seeds: Seeds,
    templates: ViewTemplates,
    turned: TurnedViews,
    diameter: float,
    use_color: bool,
) -> Hypotheses:
    """The best placements of every view in every region."""
    camera = scene.camera
    scores, ids = _search(
        scene.depth, scene.normals, scene.lab, labels, camera.fx, camera.fy, camera.cx, camera.cy,
        seeds.pixels_rc, turned.anchors, turned.anchor_normals, turned.anchor_lab, turned.points,
        turned.normals, turned.rings, turned.lab, turned.rough_ids, turned.near_ids,
        np.float32(TOLERANCE * diameter), use_color,
    )  # fmt: skip
    seed_index, view = _best_of_region(scores, seeds.region)
    view_turn, anchor = np.divmod(ids[seed_index, view], ANCHORS)
    rows, cols = seeds.pixels_rc[seed_index].T
    z = scene.depth[rows, cols].astype(np.float64)
    points = np.stack([(cols - camera.cx) / camera.fx * z, (rows - camera.cy) / camera.fy * z, z], 1)
    rotation = _look_along(points) @ turned.rotation[view_turn].astype(np.float64)
    anchors = templates.anchors[view_turn // TURNS, anchor].astype(np.float64)
    translation = points - np.einsum("nij,nj->ni", rotation, anchors)
    score = scores[seed_index, view]
    return Hypotheses(rotation, translation, score, seeds.region[seed_index])


def _best_of_region(
    scores: NDArray[np.float32], region: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(seed, view) of the PER_VIEW best seeds for every view in every region.

    Every view stays in the race: a half-hidden face scores lower here than some small face that
    lies wholly inside the visible part, but wins once both are fitted.
    """
    seed, view = np.nonzero(scores > MIN_SCORE)
    order = np.lexsort((-scores[seed, view], view, region[seed]))
    seed, view = seed[order], view[order]
    group = region[seed] * scores.shape[1] + view
    first = np.concatenate([[0], np.flatnonzero(np.diff(group)) + 1]) if len(group) else []
    rank = np.arange(len(group)) - np.repeat(first, np.diff(np.append(first, len(group))))
    return seed[rank < PER_VIEW], view[rank < PER_VIEW]


def _look_along(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest rotations (N, 3, 3) that turn the optical axis towards points (N, 3)."""
    f = points / np.linalg.norm(points, axis=1, keepdims=True)
    x, y, z = f.T
    k = 1 / (1 + z)
    rows = [[1 - x * x * k, -x * y * k, x], [-x * y * k, 1 - y * y * k, y], [-x, -y, z]]
    return np.array(rows).transpose(2, 0, 1)


@njit(parallel=True, cache=True, fastmath=True)
def _search(  # type: ignore[no-untyped-def]
    depth, normals, lab, labels, fx, fy, cx, cy, seeds, anchors, anchor_normals, anchor_lab, points,
    point_normals, rings, colors, coarse_ids, near_ids, tol, use_color
):  # fmt: skip
    n_seed, n_anchor, n_view = len(seeds), anchors.shape[1], len(colors)
    turns = len(points) // n_view
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
                    depth, normals, lab, labels, region, fx, fy, cx, cy, m, p, anchors[r, a],
                    points[r, :ROUGH_POINTS], point_normals[r], rings[r], colors[view],
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
                    depth, normals, lab, labels, region, fx, fy, cx, cy, m, p, anchors[r, a],
                    points[r], point_normals[r], rings[r], colors[view], tol, use_color,
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
def _place(  # type: ignore[no-untyped-def]
    depth, normals, lab, labels, region, fx, fy, cx, cy, m, seed, anchor, points, point_normals, rings, colors,
    tol, use_color, floor
):  # fmt: skip
    """Score of one view whose anchor lies on the seed; stops when it cannot exceed the floor."""
    height, width = depth.shape
    n_pts, n_ring = len(points), len(rings)
    got = 0.0
    shown = float(n_pts)  # points that nothing hides
    for i in range(n_pts):
        # Below what the rest could still bring, or hopeless after a fair sample.
        if got + n_pts - i < floor * math.sqrt(n_pts * shown) or (i & 3 == 0 and got < REQUIRED * i - SLACK):
            return -1.0
        x, y, z = points[i, 0] - anchor[0], points[i, 1] - anchor[1], points[i, 2] - anchor[2]
        qx = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + seed[0]
        qy = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + seed[1]
        qz = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + seed[2]
        u, v = int(fx * qx / qz + cx + 0.5), int(fy * qy / qz + cy + 0.5)
        if u < 0 or v < 0 or u >= width or v >= height:
            continue
        zo = depth[v, u]
        if zo <= 0:
            continue
        e = zo - qz
        if e > tol:
            got -= BEHIND_PENALTY
        elif e > -tol:
            x, y, z = point_normals[i, 0], point_normals[i, 1], point_normals[i, 2]
            w = normal_agreement(
                m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
                m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
                m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
                normals[v, u, 0], normals[v, u, 1], normals[v, u, 2],
            )  # fmt: skip
            if use_color and w > 0:
                w *= color_similarity(
                    lab[v, u, 0], lab[v, u, 1], lab[v, u, 2],
                    colors[i, 0], colors[i, 1], colors[i, 2],
                )  # fmt: skip
            if labels[v, u] != region:
                w *= OTHER_REGION
            got += w * (1.0 - 0.5 * (e / tol) ** 2)
        else:
            shown -= 1.0
    # Hidden points say nothing: they lower the score by the square root of their share only.
    score = got / math.sqrt(n_pts * max(shown, MIN_SHOWN * n_pts))
    if score <= floor:
        return -1.0
    beyond = 0
    for i in range(n_ring):
        x, y, z = rings[i, 0] - anchor[0], rings[i, 1] - anchor[1], rings[i, 2] - anchor[2]
        qx = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + seed[0]
        qy = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + seed[1]
        qz = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + seed[2]
        u, v = int(fx * qx / qz + cx + 0.5), int(fy * qy / qz + cy + 0.5)
        if 0 <= u < width and 0 <= v < height:
            zo = depth[v, u]
            if zo > 0 and abs(zo - qz) < tol and labels[v, u] == region:
                beyond += 1
    return score - CONTINUES_PENALTY * beyond / n_ring
