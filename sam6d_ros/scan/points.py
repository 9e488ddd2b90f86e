"""A point cloud becomes a mesh: Poisson surface reconstruction (Kazhdan et al., SGP 2006)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.errors import InvalidInput
from sam6d_ros.scan.open3d_module import open3d

MIN_POINTS, MAX_POINTS = 500, 5_000_000
DEPTH = 8  # of the octree: 1/256 of the extent
NEIGHBOURS = 30
REACH = 3.0  # of the points' spacing, beyond which the surface is invented


def mesh_of_points(path: Path) -> Mesh:
    """Reconstruct the surface of a PLY file without faces.

    Returns:
        the mesh in the unit of the file; the note says how much of it has no point near.

    Raises:
        InvalidInput: unreadable, too few or too many points, or not finite.
        BackendUnavailable: Open3D is not installed.
    """
    o3d = open3d()
    if not path.is_file():
        raise InvalidInput(f"{path} is no file; expected a PLY file of points")
    cloud = o3d.io.read_point_cloud(str(path), format="ply")
    points = np.asarray(cloud.points)
    if not MIN_POINTS <= len(points) <= MAX_POINTS:
        raise InvalidInput(
            f"{path} holds {len(points):,} points; expected {MIN_POINTS:,} to {MAX_POINTS:,}"
        )
    if not np.isfinite(points).all():
        raise InvalidInput(f"{path} has points that are NaN or infinite; repair it")
    if not cloud.has_normals():
        cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(NEIGHBOURS))
        cloud.orient_normals_consistent_tangent_plane(NEIGHBOURS)
    surface, _ = o3d.geometry.TriangleMesh.create_from_point_cloud_poisson(cloud, depth=DEPTH)
    # beyond the points the reconstruction runs on for ever
    bounds = cloud.get_axis_aligned_bounding_box()
    surface = _outwards(surface.crop(bounds.scale(1.05, cloud.get_center())))
    vertices = np.asarray(surface.vertices)
    faces = np.asarray(surface.triangles, np.int32)
    if len(faces) == 0:
        raise InvalidInput(f"{path}: no surface results; expected points on one closed surface")
    colors = (255 * np.asarray(surface.vertex_colors)).round().astype(np.uint8)
    note = _invented(vertices, points)
    return Mesh(vertices, faces, colors if cloud.has_colors() else None, note=note)


def _outwards(surface: Any) -> Any:
    """Return the surface with its normals pointing out: of positive volume where it is closed."""
    if surface.is_watertight() and surface.get_volume() < 0:
        flipped = np.asarray(surface.triangles)[:, ::-1].copy()
        surface.triangles = type(surface.triangles)(flipped)
    return surface


def _invented(vertices: NDArray, points: NDArray) -> str:
    """Say which share of the surface has no point near."""
    tree = cKDTree(points)
    spacing = float(np.median(tree.query(points[:2000], k=2)[0][:, 1]))
    far = float(np.mean(tree.query(vertices)[0] > REACH * spacing))
    return (
        f"reconstructed from {len(points):,} points; {far:.0%} of the surface has no point within "
        f"{REACH:g} times their spacing and is invented: look at it before you use it"
    )
