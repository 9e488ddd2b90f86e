"""Render a pose and compare it with the scene: depth, silhouette, colour. Many poses per call."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.kernels import color_similarity, normal_agreement
from sam6d_ros.stages.geometric.scene import SceneMaps
from sam6d_ros.stages.geometric.search import Hypotheses

MARGIN_CELLS = 2
MAX_RAYS = 1_500_000  # per call of the ray caster: bounds the memory
NOISE_BASE_M, NOISE_PER_M2 = 0.004, 0.005  # depth tolerance grows with the square of the range
TOLERANCE_DIAMETERS = 0.02
PATTERN_VARIANCE = 200.0  # (L*a*b* units)²: printed cartons have 350 to 1900, plain things below 60
PART_FLOOR = 0.2  # the least factor of contour, colour and texture in the score

# Columns of the sums that the kernel gathers per pose.
(
    CELLS, MEASURED, FIT, HIDDEN, OUTSIDE, COLOR, EDGE_N, EDGE, TEX_N,
) = range(9)  # fmt: skip
TEX = 9  # then for L, a, b: sums of model, scene, model², scene², model·scene
COLUMNS = TEX + 15


@dataclass(frozen=True)
class Agreement:
    """How well N poses explain the scene; every array (N,) float64 in [0, 1].

    Attributes:
        fit: share of the visible, measured silhouette where depth and normal agree.
        visible: share of the silhouette that nothing hides.
        contour: share of the unhidden silhouette where something ends in the scene.
        color: colour similarity where the depth agrees.
        texture: correlation of the colour pattern, 0.5 when there is no pattern to compare.
    """

    fit: NDArray[np.float64]
    visible: NDArray[np.float64]
    contour: NDArray[np.float64]
    color: NDArray[np.float64]
    texture: NDArray[np.float64]

    @property
    def score(self) -> NDArray[np.float64]:
        """One number in [0, 1]: every part must agree, none alone is enough."""
        looks = _part(self.contour) * _part(self.color) * _part(self.texture)
        return np.sqrt(self.fit * np.sqrt(self.visible) * looks)


def _part(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return PART_FLOOR + (1 - PART_FLOOR) * value


def depth_tolerance(diameter: float, z: float) -> float:
    """Metres by which a surface at range z may be off and still agree."""
    return max(TOLERANCE_DIAMETERS * diameter, NOISE_BASE_M + NOISE_PER_M2 * z * z)


def compare(
    scene: SceneMaps,
    model: ObjectModel,
    labels: NDArray[np.int32],
    poses: Hypotheses,
    rays: int,
) -> Agreement:
    """Compare N poses with the scene, with about ``rays`` rays each.

    Args:
        labels: (H, W) region numbers. What hides a pose is an occluder, unless it belongs to the
            pose's own region: an object does not hide itself, so that contradicts the pose.
    """
    chunk = max(1, MAX_RAYS // rays)
    parts = [poses.take(np.arange(i, min(i + chunk, len(poses)))) for i in range(0, len(poses), chunk)]
    sums = [_compare_chunk(scene, model, labels, part, rays) for part in parts]
    return agreement_of(np.concatenate(sums) if sums else np.zeros((0, COLUMNS)))


def _compare_chunk(scene, model, labels, poses, rays):  # type: ignore[no-untyped-def]
    rotation, translation = poses.rotation, poses.translation
    grids = _grids(scene, model, rotation, translation, rays)
    offsets = np.concatenate([[0], np.cumsum(grids[:, 3] * grids[:, 4])]).astype(np.int64)
    camera = scene.camera
    origins = np.empty((offsets[-1], 3), np.float32)
    directions = np.empty((offsets[-1], 3), np.float32)
    _fill_rays(
        origins, directions, offsets, grids, rotation, translation,
        camera.fx, camera.fy, camera.cx, camera.cy,
    )  # fmt: skip
    hits = model.scene.cast(origins, directions)
    lab = model.scene_lab
    tolerance = np.array([depth_tolerance(model.diameter, z) for z in translation[:, 2]])
    return _gather(
        scene.depth, scene.normals, scene.lab, labels, poses.region, offsets, grids, hits.face, hits.distance, hits.bary,
        model.scene.faces, lab, model.scene.face_normals.astype(np.float32), rotation,
        directions, tolerance, model.colors is not None,
    )  # fmt: skip


def _grids(scene, model, rotation, translation, rays):  # type: ignore[no-untyped-def]
    """Per pose (x0, y0, stride, columns, rows): a pixel grid over the projected box."""
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T / 2
    box = corners * model.box_size @ model.obj_from_box[:3, :3].T + model.obj_from_box[:3, 3]
    points = np.einsum("nij,kj->nki", rotation, box) + translation[:, None]
    z = np.maximum(points[..., 2], 0.05)
    u = points[..., 0] / z * scene.camera.fx + scene.camera.cx
    v = points[..., 1] / z * scene.camera.fy + scene.camera.cy
    # Outside the image nothing can be compared.
    u = np.clip(u, -8, scene.camera.width + 8)
    v = np.clip(v, -8, scene.camera.height + 8)
    width, height = np.ptp(u, axis=1) + 1, np.ptp(v, axis=1) + 1
    stride = np.maximum(np.sqrt(width * height / rays), 1.0)
    margin = MARGIN_CELLS * stride
    columns = np.ceil((width + 2 * margin) / stride).astype(int)
    rows = np.ceil((height + 2 * margin) / stride).astype(int)
    return np.stack([u.min(1) - margin, v.min(1) - margin, stride, columns, rows], axis=1)


@njit(parallel=True, cache=True, fastmath=True)
def _fill_rays(origins, directions, offsets, grids, rotation, translation, fx, fy, cx, cy):  # type: ignore[no-untyped-def]
    for h in prange(len(grids)):
        x0, y0, stride = grids[h, 0], grids[h, 1], grids[h, 2]
        columns, rows = int(grids[h, 3]), int(grids[h, 4])
        r, t = rotation[h], translation[h]
        ox = -(r[0, 0] * t[0] + r[1, 0] * t[1] + r[2, 0] * t[2])
        oy = -(r[0, 1] * t[0] + r[1, 1] * t[1] + r[2, 1] * t[2])
        oz = -(r[0, 2] * t[0] + r[1, 2] * t[1] + r[2, 2] * t[2])
        k = offsets[h]
        for j in range(rows):
            dy = (y0 + j * stride - cy) / fy
            for i in range(columns):
                dx = (x0 + i * stride - cx) / fx
                origins[k, 0], origins[k, 1], origins[k, 2] = ox, oy, oz
                directions[k, 0] = r[0, 0] * dx + r[1, 0] * dy + r[2, 0]
                directions[k, 1] = r[0, 1] * dx + r[1, 1] * dy + r[2, 1]
                directions[k, 2] = r[0, 2] * dx + r[1, 2] * dy + r[2, 2]
                k += 1


@njit(parallel=True, cache=True, fastmath=True)
def _gather(  # type: ignore[no-untyped-def]
    depth, normals, lab, labels, regions, offsets, grids, face, distance, bary, faces, vertex_lab, face_normals,
    rotation, directions, tolerance, use_color
):  # fmt: skip
    height, width = depth.shape
    n = len(grids)
    out = np.zeros((n, COLUMNS))
    for h in prange(n):
        x0, y0, stride = grids[h, 0], grids[h, 1], grids[h, 2]
        columns, rows = int(grids[h, 3]), int(grids[h, 4])
        base, tol, rot = offsets[h], tolerance[h], rotation[h]
        reach = max(2, int(math.ceil(4.0 / stride)))
        for j in range(rows):
            v = int(y0 + j * stride + 0.5)
            for i in range(columns):
                k = base + j * columns + i
                f = face[k]
                if f < 0:
                    continue
                out[h, CELLS] += 1
                u = int(x0 + i * stride + 0.5)
                if u < 0 or v < 0 or u >= width or v >= height:
                    out[h, OUTSIDE] += 1
                    continue
                z = distance[k]
                zo = depth[v, u]
                e = zo - z
                in_front = zo > 0 and e < -2 * tol
                hidden = in_front and labels[v, u] != regions[h]
                if hidden:
                    out[h, HIDDEN] += 1
                elif zo > 0:
                    out[h, MEASURED] += 1
                    if abs(e) < 2 * tol:
                        out[h, FIT] += _cell_fit(
                            face_normals, f, rot, directions, k, normals, v, u, e / tol
                        )
                        if use_color:
                            _add_color(
                                out, h, lab, v, u, faces, f, bary, k, vertex_lab
                            )
                if not hidden:
                    _add_edge(
                        out, h, i, j, columns, rows, base, face, reach, x0, y0, stride, depth,
                        normals, lab, z, tol, u, v,
                    )  # fmt: skip
    return out


@njit(cache=True, fastmath=True)
def _cell_fit(face_normals, f, rot, directions, k, normals, v, u, e):  # type: ignore[no-untyped-def]
    """Depth agreement times normal agreement of one cell."""
    a, b, c = face_normals[f, 0], face_normals[f, 1], face_normals[f, 2]
    if a * directions[k, 0] + b * directions[k, 1] + c * directions[k, 2] > 0:
        a, b, c = -a, -b, -c
    agreement = normal_agreement(
        rot[0, 0] * a + rot[0, 1] * b + rot[0, 2] * c,
        rot[1, 0] * a + rot[1, 1] * b + rot[1, 2] * c,
        rot[2, 0] * a + rot[2, 1] * b + rot[2, 2] * c,
        normals[v, u, 0], normals[v, u, 1], normals[v, u, 2],
    )  # fmt: skip
    return math.exp(-e * e) * (0.3 + 0.7 * agreement)


@njit(cache=True, fastmath=True)
def _add_color(out, h, lab, v, u, faces, f, bary, k, vertex_lab):  # type: ignore[no-untyped-def]
    w1, w2 = bary[k, 0], bary[k, 1]
    w0 = 1 - w1 - w2
    f0, f1, f2 = faces[f, 0], faces[f, 1], faces[f, 2]
    out[h, TEX_N] += 1
    ml = w0 * vertex_lab[f0, 0] + w1 * vertex_lab[f1, 0] + w2 * vertex_lab[f2, 0]
    ma = w0 * vertex_lab[f0, 1] + w1 * vertex_lab[f1, 1] + w2 * vertex_lab[f2, 1]
    mb = w0 * vertex_lab[f0, 2] + w1 * vertex_lab[f1, 2] + w2 * vertex_lab[f2, 2]
    sl, sa, sb = lab[v, u, 0], lab[v, u, 1], lab[v, u, 2]
    out[h, COLOR] += color_similarity(ml, ma, mb, sl, sa, sb)
    for c in range(3):
        m = ml if c == 0 else (ma if c == 1 else mb)
        s = sl if c == 0 else (sa if c == 1 else sb)
        at = TEX + 5 * c
        out[h, at] += m
        out[h, at + 1] += s
        out[h, at + 2] += m * m
        out[h, at + 3] += s * s
        out[h, at + 4] += m * s


@njit(cache=True, fastmath=True)
def _add_edge(  # type: ignore[no-untyped-def]
    out, h, i, j, columns, rows, base, face, reach, x0, y0, stride, depth, normals, lab, z, tol,
    u, v
):  # fmt: skip
    """Does something end where the silhouette ends? Looked at on both sides of the rim."""
    height, width = depth.shape
    for side in range(4):
        di = (1, -1, 0, 0)[side]
        dj = (0, 0, 1, -1)[side]
        ni, nj = i + di, j + dj
        inside = 0 <= ni < columns and 0 <= nj < rows
        if inside and face[base + nj * columns + ni] >= 0:
            continue
        uo = int(x0 + (i + di * reach) * stride + 0.5)
        vo = int(y0 + (j + dj * reach) * stride + 0.5)
        ui = int(x0 + (i - di) * stride + 0.5)
        vi = int(y0 + (j - dj) * stride + 0.5)
        if uo < 0 or vo < 0 or uo >= width or vo >= height:
            continue
        if ui < 0 or vi < 0 or ui >= width or vi >= height:
            ui, vi = u, v
        zo = depth[vo, uo]
        if zo > 0 and zo < z - 2 * tol:
            continue  # an occluder stands beside: the rim proves nothing
        out[h, EDGE_N] += 1
        if zo > z + 2 * tol:
            out[h, EDGE] += 1
            continue
        crease = 0.0
        no, ns = normals[vo, uo], normals[vi, ui]
        if (no[0] != 0 or no[1] != 0 or no[2] != 0) and (ns[0] != 0 or ns[1] != 0 or ns[2] != 0):
            dot = no[0] * ns[0] + no[1] * ns[1] + no[2] * ns[2]
            crease = min(1.0, 2.0 * (1.0 - dot))
        a, b = lab[vo, uo], lab[vi, ui]
        step = math.sqrt((0.6 * (a[0] - b[0])) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
        out[h, EDGE] += max(crease, min(1.0, step / 40.0))


def agreement_of(sums: NDArray[np.float64]) -> Agreement:
    """Turn gathered sums (N, COLUMNS) into shares."""
    cells = np.maximum(sums[:, CELLS], 1)
    colored = np.maximum(sums[:, TEX_N], 1)
    return Agreement(
        fit=sums[:, FIT] / np.maximum(sums[:, MEASURED], 0.1 * cells),
        visible=1 - (sums[:, HIDDEN] + sums[:, OUTSIDE]) / cells,
        contour=sums[:, EDGE] / np.maximum(sums[:, EDGE_N], 1),
        color=sums[:, COLOR] / colored,
        texture=_texture(sums, colored),
    )


def _texture(sums: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of model and scene colours over L, a, b together, mapped to [0, 1]."""
    parts = sums[:, TEX:].reshape(-1, 3, 5) / count[:, None, None]
    mean_m, mean_s, square_m, square_s, product = np.moveaxis(parts, 2, 0)
    weight = np.array([0.5, 1.0, 1.0])
    covariance = ((product - mean_m * mean_s) * weight).sum(1)
    variance_m = ((square_m - mean_m**2) * weight).sum(1)
    variance_s = ((square_s - mean_s**2) * weight).sum(1)
    correlation = covariance / np.sqrt((variance_m + 20) * (variance_s + 20))
    # A plain object correlates with shadows at best: the less pattern, the less it may say.
    reliability = variance_m / (variance_m + PATTERN_VARIANCE)
    return np.clip(0.5 + 0.5 * correlation * reliability, 0, 1)


def explained_mask(
    scene: SceneMaps, model: ObjectModel, cam_from_obj: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(H, W) bool: pixels of the scene whose depth the object at this pose explains."""
    rotation, translation = cam_from_obj[None, :3, :3], cam_from_obj[None, :3, 3]
    x0, y0, _, columns, rows = _grids(scene, model, rotation, translation, 10**9)[0]
    left, top = max(0, int(x0)), max(0, int(y0))
    right = min(scene.camera.width, int(x0 + columns) + 1)
    bottom = min(scene.camera.height, int(y0 + rows) + 1)
    mask = np.zeros(scene.depth.shape, bool)
    if right <= left or bottom <= top:
        return mask
    view = model.scene.render(scene.camera, cam_from_obj, (left, top, right - left, bottom - top))
    observed = scene.depth[top:bottom, left:right]
    tolerance = 2 * depth_tolerance(model.diameter, float(translation[0, 2]))
    near = view.mask & (observed > 0) & (np.abs(observed - view.depth) < tolerance)
    mask[top:bottom, left:right] = near
    return mask
