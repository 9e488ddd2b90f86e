"""Open3D: FPFH features, RANSAC over their matches, point-to-plane ICP.

Settings follow Open3D's tutorial on global registration
(https://www.open3d.org/docs/release/tutorial/pipelines/global_registration.html).
"""

from __future__ import annotations

import ctypes

import libusb_package
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.common import model_cloud, nearest_rigid, scene_cloud
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import Frame

# Open3D is linked with libusb (for depth cameras); a bare machine has none.
ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
import open3d as o3d  # noqa: E402

VOXELS_PER_DIAMETER = 25
SEED = 0


class FpfhMatcher:
    """Registration of the whole model with the whole scene."""

    def __init__(self) -> None:
        self.models: dict[str, tuple] = {}
        o3d.utility.random.seed(SEED)

    def prepare(self, model: ObjectModel) -> None:
        """Sample the model and compute its features."""
        points, normals = model_cloud(model)
        cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
        cloud.normals = o3d.utility.Vector3dVector(normals)
        voxel = model.diameter / VOXELS_PER_DIAMETER
        self.models[model.name] = with_features(cloud.voxel_down_sample(voxel), voxel)

    def find(self, frame: Frame, model: ObjectModel) -> tuple[NDArray, float] | None:
        """Features of the scene at the model's scale, RANSAC, ICP."""
        voxel = model.diameter / VOXELS_PER_DIAMETER
        cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(scene_cloud(frame)))
        cloud = cloud.voxel_down_sample(voxel)
        cloud.estimate_normals(o3d.geometry.KDTreeSearchParamHybrid(2 * voxel, 30))
        cloud.orient_normals_towards_camera_location(np.zeros(3))
        scene, scene_features = with_features(cloud, voxel)
        source, features = self.models[model.name]
        coarse = ransac(source, scene, features, scene_features, 1.5 * voxel)
        registration = o3d.pipelines.registration
        fine = registration.registration_icp(
            source,
            scene,
            0.5 * voxel,
            coarse.transformation,
            registration.TransformationEstimationPointToPlane(),
        )
        if not coarse.correspondence_set:
            return None
        return nearest_rigid(fine.transformation), float(np.clip(fine.fitness, 0, 1))


def with_features(cloud: o3d.geometry.PointCloud, voxel: float) -> tuple:
    """The cloud and its FPFH features."""
    search = o3d.geometry.KDTreeSearchParamHybrid(5 * voxel, 100)
    return cloud, o3d.pipelines.registration.compute_fpfh_feature(cloud, search)


def ransac(source, target, source_features, target_features, distance: float):
    """The tutorial's global registration."""
    registration = o3d.pipelines.registration
    return registration.registration_ransac_based_on_feature_matching(
        source,
        target,
        source_features,
        target_features,
        True,
        distance,
        registration.TransformationEstimationPointToPoint(False),
        3,
        [
            registration.CorrespondenceCheckerBasedOnEdgeLength(0.9),
            registration.CorrespondenceCheckerBasedOnDistance(distance),
        ],
        registration.RANSACConvergenceCriteria(100_000, 0.999),
    )
