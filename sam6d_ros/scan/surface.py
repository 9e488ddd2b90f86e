"""The fused surface becomes a model: cut from the plane, closed, thinned, coloured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from sam6d_ros.cad.decimation import decimate
from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import project
from sam6d_ros.geometry.mesh import face_areas
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.scan.open3d_module import open3d
from sam6d_ros.scan.rims import with_fans
from sam6d_ros.scan.shading import without_shading
from sam6d_ros.scan.take import Take
from sam6d_ros.scan.tsdf import Surface

Array = NDArray[np.float64]

FLOOR_M = 0.0015  # height from which a surface inside the rim is no longer the plane
CUT_M = 0.002  # above the plane; below it the plane and the foot of the thing are one
TARGET_FACES = 60_000
COLOUR_VIEWS = 40
FACING = 0.35  # cosine below which a view gives no colour
DEPTH_AGREES_M = 0.008
UNSEEN = 128


def cut_from_plane(surface: Surface) -> Surface:
    """Return the largest part above the plane, cut along a straight rim and closed.

    The outer rim is brought down to the plane and closed flat. An inner one, that of a cup with a
    thin floor, is closed where the floor was measured.

    Raises:
        InvalidInput: nothing is left.
    """
    height = max(CUT_M, 1.5 * surface.voxel_m)
    vertices, faces, _ = trimesh.intersections.slice_faces_plane(
        surface.vertices, surface.faces, np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, height])
    )
    above = trimesh.Trimesh(vertices, faces)  # merges the vertices along the rim
    parts = above.split(only_watertight=False)
    if len(parts) == 0:
        raise InvalidInput(
            f"no surface is left above {1000 * height:.1f} mm over the plane; expected an object "
            "that stands higher"
        )
    cut = _largest(parts, surface.voxel_m)
    on_cut = cut.vertices[:, 2] < 1.01 * height
    cut = replace(cut, faces=with_fans(cut.faces, on_cut))
    lowered = cut.vertices.copy()
    below = surface.vertices[surface.vertices[:, 2] < height]
    rims = [rim for rim in _rims(cut.faces) if on_cut[rim].all()]
    for rim, floor in zip(rims, _floors(cut.vertices, rims, below), strict=True):
        lowered[rim, 2] = floor
    return close(replace(cut, vertices=lowered))


def _floors(vertices: Array, rims: Sequence[NDArray[np.intp]], below: Array) -> list[float]:
    """Return the height to which each rim of a cut is brought.

    Args:
        vertices: (V, 3) metres.
        rims: vertices of each.
        below: (N, 3) what was measured below the cut.
    """
    outlines = [vertices[rim, :2].astype(np.float32) for rim in rims]
    outlines = [cv2.convexHull(outline) for outline in outlines]
    order = np.argsort([-cv2.contourArea(outline) for outline in outlines])
    out = [0.0] * len(rims)
    for place, index in enumerate(order):
        middle = outlines[index].reshape(-1, 2).mean(0).tolist()
        around = (outlines[other] for other in order[:place])
        if not any(cv2.pointPolygonTest(outline, middle, False) > 0 for outline in around):
            continue
        inside = _within(outlines[index], below)
        if len(inside) and (measured := float(np.median(inside[:, 2]))) > FLOOR_M:
            out[index] = measured
    return out


def _within(outline: NDArray[np.float32], points: Array) -> Array:
    """Return the points whose x and y are inside a convex outline."""
    flags = [cv2.pointPolygonTest(outline, xy, False) > 0 for xy in points[:, :2].tolist()]
    return points[flags]


def free_of_plane(surface: Surface) -> Surface:
    """Return the largest part of a surface that was fused without the plane."""
    whole = trimesh.Trimesh(surface.vertices, surface.faces)
    return _largest(whole.split(only_watertight=False), surface.voxel_m)


def _largest(parts: Sequence[trimesh.Trimesh], voxel_m: float) -> Surface:
    part = max(parts, key=lambda piece: piece.area)
    return Surface(np.asarray(part.vertices), np.asarray(part.faces, np.int32), voxel_m)


def close(surface: Surface) -> Surface:
    """Fill all holes."""
    o3d = open3d()
    mesh = o3d.t.geometry.TriangleMesh(
        o3d.core.Tensor(surface.vertices.astype(np.float32)),
        o3d.core.Tensor(surface.faces.astype(np.int64)),
    )
    filled = mesh.fill_holes(hole_size=10.0)
    return Surface(
        filled.vertex.positions.numpy().astype(np.float64),
        wound_alike(filled.triangle.indices.numpy().astype(np.int32), len(surface.faces)),
        surface.voxel_m,
    )


def wound_alike(faces: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Return faces, patches among the added ones turned to face out where they face in.

    Open3D winds some of the patches that fill holes inwards.

    Args:
        faces: (F, 3), the added ones last.
        count: number of faces before them.
    """
    added = faces[count:]
    size = int(faces.max(initial=0)) + 1
    before = _directed(faces[:count], size)
    wrong = np.isin(_directed(added, size), before).reshape(-1, 3).sum(1)
    right = np.isin(_directed(added[:, ::-1], size), before).reshape(-1, 3).sum(1)
    patch = np.zeros(len(added), np.intp)
    links = trimesh.graph.face_adjacency(added)
    for number, part in enumerate(
        trimesh.graph.connected_components(links, nodes=np.arange(len(added)))
    ):
        patch[part] = number
    turned = np.bincount(patch, wrong - right.astype(float)) > 0
    out = faces.copy()
    out[count:][turned[patch]] = added[turned[patch]][:, ::-1]
    return out


def _directed(faces: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    """Return a number for each directed edge (3 F,) of faces whose indices are below a size."""
    return (faces.astype(np.int64) * size + np.roll(faces, -1, axis=1)).ravel()


def _rims(faces: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """Return the vertices of each connected set of edges that belong to one face only."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    return list(trimesh.graph.connected_components(unique[count == 1], min_len=3))


def thin(surface: Surface, faces: int = TARGET_FACES) -> Surface:
    """Reduce to about so many faces (quadric error)."""
    if len(surface.faces) <= faces:
        return surface
    vertices, fewer, _ = decimate(surface.vertices, surface.faces, None, faces)
    return Surface(vertices, fewer.astype(np.int32), surface.voxel_m)


def coloured(surface: Surface, takes: Sequence[Take]) -> tuple[Mesh, Array]:
    """Return the mesh with the median colour of its views, and the views of each vertex.

    A highlight moves with the camera, so that the median over views is free of it. The shading of
    the room, which stays, is fitted and taken out.

    Args:
        surface: in the frame of the first take.
        takes: the recordings.

    Returns:
        the mesh in the frame of the first take, metres, and (V,) how many views saw each vertex.
    """
    shape = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    normals = np.asarray(shape.vertex_normals)
    scene = RayScene(surface.vertices, surface.faces)
    samples = np.array(
        [
            _sampled(surface.vertices, normals, scene, take, int(index))
            for take in takes
            for index in _chosen(take, COLOUR_VIEWS // len(takes))
        ]
    )
    counts = np.isfinite(samples[:, :, 0]).sum(0)
    colors = np.full((len(counts), 3), UNSEEN, np.float32)
    some = counts > 0
    if not takes[0].without_plane:  # normals of the rim are those of no surface
        some &= surface.vertices[:, 2] > CUT_M / 2
    colors[some] = np.nanmedian(samples[:, some], axis=0)
    colors = without_shading(colors, normals, _areas(surface) * some)
    colors[~some] = _spread(surface, colors, some)
    mesh = Mesh(surface.vertices, surface.faces, np.rint(colors).astype(np.uint8), is_metric=True)
    return mesh, counts.astype(np.float64)


def _areas(surface: Surface) -> Array:
    """Return the area (V,) that belongs to each vertex."""
    areas = face_areas(surface.vertices, surface.faces) / 3
    out = np.zeros(len(surface.vertices))
    np.add.at(out, surface.faces.ravel(), areas.repeat(3))
    return out


def _chosen(take: Take, count: int) -> NDArray[np.intp]:
    used = take.motion.used
    return used[np.linspace(0, len(used) - 1, min(count, len(used))).astype(int)]


def _sampled(
    vertices: Array, normals: Array, scene: RayScene, take: Take, index: int
) -> NDArray[np.float32]:
    """Return the colours (V, 3) of one frame, NaN where it does not show a vertex."""
    frame, depth = take.depth(index)
    object_from_cam = take.object_from_cam(index)
    seen = _seen(vertices, normals, scene, object_from_cam)
    cam = se3.transform(se3.inverse(object_from_cam), vertices)
    pixels = np.rint(project(frame.camera, cam))
    inside = seen & (pixels >= 0).all(1)
    inside &= (pixels < [frame.camera.width, frame.camera.height]).all(1)
    cols, rows = pixels[inside].astype(int).T
    measured = depth[rows, cols]
    agrees = (measured > 0) & (np.abs(measured - cam[inside, 2]) < DEPTH_AGREES_M)
    samples = np.full((len(vertices), 3), np.nan, np.float32)
    samples[np.flatnonzero(inside)[agrees]] = frame.rgb[rows[agrees], cols[agrees]]
    return samples


def _seen(
    vertices: Array, normals: Array, scene: RayScene, stand_from_cam: Array
) -> NDArray[np.bool_]:
    """Return (V,) whether each vertex faces the camera and nothing stands before it."""
    eye = stand_from_cam[:3, 3]
    rays = vertices - eye
    length = np.linalg.norm(rays, axis=1)
    facing = -(rays * normals).sum(1) > FACING * length
    hits = scene.cast(np.broadcast_to(eye, rays.shape).astype(np.float32), rays.astype(np.float32))
    return facing & (hits.face >= 0) & (hits.distance > 1 - 0.004 / np.maximum(length, 1e-6))


def _spread(surface: Surface, colors: NDArray[np.float32], seen: NDArray[np.bool_]) -> Array:
    """Return colours of the unseen vertices: that of the nearest seen one."""
    if not seen.any() or seen.all():
        return colors[~seen].astype(np.float64)
    from scipy.spatial import cKDTree

    _, nearest = cKDTree(surface.vertices[seen]).query(surface.vertices[~seen])
    return colors[seen][nearest].astype(np.float64)
