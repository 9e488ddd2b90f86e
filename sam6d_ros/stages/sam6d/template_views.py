"""The 42 views from which templates are rendered, in template order, and their camera poses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# (elevation, azimuth) in degrees of the camera's direction in the object frame, azimuth measured
# as atan2(x, y): the 12 vertices of an icosahedron and its 30 edge midpoints. The order follows
# elevation and then rounding noise of the original's generator, hence a table.
VIEW_ANGLES_DEG: tuple[tuple[float, float], ...] = (
    (-90.0, 0.0),
    (-58.28292, -162.000285),
    (-58.28292, -17.999715),
    (-58.282894, 54.000319),
    (-58.282894, 125.999681),
    (-58.282621, -90.0),
    (-31.717914, 18.000321),
    (-31.717914, 161.999679),
    (-31.717818, -125.999895),
    (-31.717818, -54.000105),
    (-31.717798, 90.0),
    (-26.565452, -162.000285),
    (-26.565452, -17.999715),
    (-26.565431, 54.00032),
    (-26.565431, 125.99968),
    (-26.565181, -90.0),
    (0.0, -143.999974),
    (0.0, -107.999738),
    (0.0, -72.000262),
    (0.0, -36.000026),
    (0.0, 0.0),
    (0.0, 36.000026),
    (0.0, 72.000262),
    (0.0, 107.999738),
    (0.0, 143.999974),
    (0.0, 180.0),
    (26.565181, 90.0),
    (26.565431, -125.99968),
    (26.565431, -54.00032),
    (26.565452, 17.999715),
    (26.565452, 162.000285),
    (31.717798, -90.0),
    (31.717818, 54.000105),
    (31.717818, 125.999895),
    (31.717914, -161.999679),
    (31.717914, -18.000321),
    (58.282621, 90.0),
    (58.282894, -125.999681),
    (58.282894, -54.000319),
    (58.282913, 17.999715),
    (58.282913, 162.000285),
    (90.0, 0.0),
)
ALL_VIEWS = len(VIEW_ANGLES_DEG)


def view_numbers(count: int) -> NDArray[np.int64]:
    """Choose ``count`` of the 42 views, evenly.

    Args:
        count: number of views, 1 to 42.

    Returns:
        (count,) numbers from 0 to 41.
    """
    return np.floor(ALL_VIEWS / count * np.arange(count)).astype(np.int64)


def directions() -> NDArray[np.float64]:
    """Return the unit vectors from the origin of the object to the cameras.

    Returns:
        (42, 3), object frame.
    """
    elevation, azimuth = np.radians(np.array(VIEW_ANGLES_DEG)).T
    flat = np.cos(elevation)
    return np.stack([flat * np.sin(azimuth), flat * np.cos(azimuth), np.sin(elevation)], axis=1)


def camera_poses(distance: float) -> NDArray[np.float64]:
    """Return the poses of cameras that look at the origin of the object.

    OpenCV axes. The camera's x axis is up × z with up = (0, 0, −1), at the poles (0, −1, 0).

    Args:
        distance: of the cameras, metres.

    Returns:
        (42, 4, 4) cam_from_obj.
    """
    poses = np.tile(np.eye(4), (ALL_VIEWS, 1, 1))
    for pose, towards in zip(poses, directions(), strict=True):
        axis_z = -towards
        up = np.array([0.0, -1.0, 0.0] if abs(towards[2]) > 0.9999 else [0.0, 0.0, -1.0])
        axis_x = np.cross(up, axis_z)
        axis_x /= np.linalg.norm(axis_x)
        pose[:3, :3] = [axis_x, np.cross(axis_z, axis_x), axis_z]  # rows: camera axes in the object
        pose[:3, 3] = -pose[:3, :3] @ (towards * distance)
    return poses
