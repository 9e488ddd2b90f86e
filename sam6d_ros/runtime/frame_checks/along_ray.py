"""Detection of depth that is the distance to the camera centre instead of z.

Planes are flat in the right reading only. The largest plane is fitted in both readings; the
reading with more inliers is the right one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import ray_directions
from sam6d_ros.geometry.depth_noise import SENSOR
from sam6d_ros.types import Frame

Array = NDArray[np.float64]

COLUMNS = 64  # of the sampled grid
TRIALS = 120  # planes through three random pixels
SIGMAS = 3.0  # of the sensor noise: half thickness of a plane
RELATIVE_TOLERANCE = 0.001  # of z, for quantized and interpolated depth
# On frames with z the ratio of inliers (along the ray to z) is 0.11 to 0.66, on those with the
# distance 1.6 to 11.
MIN_RATIO = 1.3
MIN_SHARE = 0.2  # of the measured pixels on the plane: less decides nothing


def along_ray_warning(frame: Frame) -> str:
    """Return the warning that the depth is the distance along the ray; "" if it is not.

    Args:
        frame: the image.
    """
    directions, depth = _sample(frame)
    if len(depth) < COLUMNS:
        return ""
    rng = np.random.default_rng(0)
    triples = rng.integers(len(depth), size=(TRIALS, 3))
    points = directions * depth[:, None]
    from_ray = points / np.linalg.norm(directions, axis=1, keepdims=True)
    as_z, as_distance = (_plane_share(p, triples) for p in (points, from_ray))
    if as_distance < MIN_SHARE or as_distance < MIN_RATIO * as_z:
        return ""
    return (
        f"the depth seems to be the distance to the camera centre, along the ray, as simulators "
        f"give it: the largest plane has {as_distance:.0%} of the pixels in this reading and "
        f"{as_z:.0%} if depth is along z; expected is depth along the optical axis. Divide each "
        "pixel by the length of (x/fx, y/fy, 1), x and y from the principal point"
    )


def _sample(frame: Frame) -> tuple[Array, Array]:
    """Return rays (N, 3) with z = 1 and depths (N,) of a grid of measured pixels."""
    step = max(1, frame.camera.width // COLUMNS)
    v, u = (
        axis.ravel()
        for axis in np.mgrid[: frame.depth.shape[0] : step, : frame.depth.shape[1] : step]
    )
    depth = frame.depth[v, u]
    measured = depth > 0
    rays = ray_directions(frame.camera, u[measured], v[measured])
    return np.asarray(rays, np.float64), depth[measured].astype(np.float64)


def _plane_share(points: Array, triples: NDArray[np.intp]) -> float:
    """Return the share of points on the largest plane (RANSAC, then least squares)."""
    tolerance = SIGMAS * SENSOR.at(points[:, 2]) + RELATIVE_TOLERANCE * points[:, 2]
    first, second, third = (points[triples[:, i]] for i in range(3))
    normals = np.cross(second - first, third - first)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = normals[length[:, 0] > 0] / length[length[:, 0] > 0]
    offsets = (normals * first[length[:, 0] > 0]).sum(1)
    inside = np.abs(points @ normals.T - offsets) < tolerance[:, None]
    chosen = inside[:, inside.sum(0).argmax()] if inside.shape[1] else np.zeros(len(points), bool)
    for _ in range(3):
        if chosen.sum() < 3:
            break
        centre = points[chosen].mean(0)
        normal = np.linalg.eigh(np.cov((points[chosen] - centre).T))[1][:, 0]
        chosen = np.abs((points - centre) @ normal) < tolerance
    return float(chosen.mean())
