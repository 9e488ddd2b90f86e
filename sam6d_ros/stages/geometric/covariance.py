"""How sure a fitted pose is: the covariance of the point-to-plane fit at its end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import project
from sam6d_ros.geometry.depth_noise import SENSOR
from sam6d_ros.stages.geometric.compare import depth_tolerance
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.geometric.scene import SceneMaps
from sam6d_ros.stages.kernels.common import pixels

# What the local search leaves open where the depth binds nothing (sliding along a plane, turning
# about the axis of a can); texture and contour bind such motions, but not measurably so.
PRIOR_SHIFT = 0.03  # standard deviation in diameters
PRIOR_ANGLE = np.radians(5)
POINTS_PER_SAMPLE = 4.0  # neighbouring depth errors are alike: so many points count as one


def pose_covariance(
    scene: SceneMaps, kit: ObjectKit, cam_from_obj: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the covariance of a fitted pose.

    The rotation is about the object's origin, as in geometry_msgs/PoseWithCovariance. The fit's
    information matrix JᵀJ/σ² (σ from the residuals, at least the sensor's) is joined with a prior
    of the width that the local search spans.

    Args:
        scene: maps of the frame.
        kit: views of the object.
        cam_from_obj: (4, 4) pose.

    Returns:
        (6, 6) of (x, y, z, rotation about x, y, z), camera axes, m² and rad².
    """
    jacobian, residual = _linearized(scene, kit, cam_from_obj)
    z = float(cam_from_obj[2, 3])
    sigma = max(SENSOR.at(z), float(np.sqrt(np.mean(residual**2))) if len(residual) else 0.0)
    prior = np.repeat([PRIOR_SHIFT * kit.model.diameter, PRIOR_ANGLE], 3) ** -2.0
    information = jacobian.T @ jacobian / (sigma**2 * POINTS_PER_SAMPLE) + np.diag(prior)
    covariance = np.linalg.inv(information)
    return (covariance + covariance.T) / 2


def _linearized(
    scene: SceneMaps, kit: ObjectKit, cam_from_obj: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Jacobian (N, 6) and residuals (N,) in metres of the view's points that the scene shows."""
    rotation, translation = cam_from_obj[:3, :3], cam_from_obj[:3, 3]
    seen_from = rotation.T @ (rotation @ kit.centre + translation)
    view = int((kit.views.view_from_obj[:, 2] @ seen_from).argmax())
    points = se3.transform(cam_from_obj, kit.views.points[view])
    points = points[points[:, 2] > 0]
    camera = scene.camera
    u, v = (pixels(coordinates) for coordinates in project(camera, points).T)
    inside = (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
    points, u, v = points[inside], u[inside], v[inside]
    z = scene.depth[v, u].astype(float)
    normals = scene.normals[v, u].astype(float)
    observed = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], 1)
    residual = ((observed - points) * normals).sum(1)
    tolerance = 2 * depth_tolerance(kit.model.diameter, translation[2])
    used = (z > 0) & (np.abs(z - points[:, 2]) < tolerance) & (np.abs(normals).sum(1) > 0)
    arm = points[used] - translation
    return np.hstack([normals[used], np.cross(arm, normals[used])]), residual[used]
