"""Everything in a frame that speaks for or against a pose, once per frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry.depth_noise import COMPARISON
from sam6d_ros.stages.geometric.edges import EdgeMaps, edge_maps
from sam6d_ros.stages.geometric.scene import SceneMaps, normal_map, scene_maps, surface_of
from sam6d_ros.stages.kernels.inputs import Maps, Pinhole, Placement, Surface
from sam6d_ros.types import Frame

FINE_RADIUS_PX, FINE_STEP_PX = 2, 1  # normals of parts that are a few pixels wide
TOLERANCE_DIAMETERS = 0.02
TIGHT_M, TIGHT_SIGMAS = 0.0012, 3.0  # calibration and quantisation; of the sensor's noise
MAX_DIFFERENCE_M = 0.02  # of neighbouring depths, where the noise is measured
NO_NOISE = 0.0005  # per square metre: of a frame that shows too little to measure it


@dataclass(frozen=True)
class Evidence:
    """Maps of one frame.

    Attributes:
        scene: depth, normals and colours at the working size.
        fine_normals: (H, W, 3) float32, normals over a small neighbourhood.
        noise_per_m2: standard deviation of the depth at 1 m, growing with the square of the range.
        edges: nearness of edges by direction.
        registration: agreement of steps in depth with edges of the image, [0, 1].
    """

    scene: SceneMaps
    fine_normals: NDArray[np.float32]
    noise_per_m2: float
    edges: EdgeMaps
    registration: float

    @property
    def camera(self) -> Pinhole:
        """Intrinsics at the working size."""
        return self.scene.pinhole

    def maps(self, labels: NDArray[np.int32]) -> Maps:
        """Return the maps for the compiled loops, with the regions of one search.

        Args:
            labels: (H, W) int32, number of the region, 0 = none.
        """
        scene = self.scene
        return Maps(scene.depth, scene.normals, self.fine_normals, scene.lab, labels, *self.edges)

    def tight(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the tolerance of the sensor at range z, metres.

        Args:
            z: range, metres; any shape.
        """
        return TIGHT_M + TIGHT_SIGMAS * self.noise_per_m2 * z * z

    def placement(
        self, model: ObjectModel, rotation: NDArray[np.float64], translation: NDArray[np.float64]
    ) -> Placement:
        """Return N poses with their tolerances.

        Args:
            model: the object.
            rotation: (N, 3, 3) of cam_from_obj.
            translation: (N, 3) metres.
        """
        z = translation[:, 2]
        loose = np.maximum(TOLERANCE_DIAMETERS * model.diameter, COMPARISON.at(z))
        return Placement(rotation, translation, loose, self.tight(z))

    def surface(self, model: ObjectModel) -> Surface:
        """Return a mesh with the colours that the frame can show: in a grey one, lightness.

        Args:
            model: the object.
        """
        return surface_of(model, self.scene)


def evidence(frame: Frame) -> Evidence:
    """Compute the maps of a frame; stages share them by ``Scene.derived(evidence)``.

    Args:
        frame: the image.

    Returns:
        The maps.
    """
    scene = scene_maps(frame)
    fine = normal_map(scene.depth, scene.camera, (0, 0), FINE_RADIUS_PX, FINE_STEP_PX)
    noise = noise_per_m2(scene.depth)
    lightness = np.ascontiguousarray(scene.lab[..., 0])
    edges, registration = edge_maps(scene.depth, fine, lightness, scene.camera, noise)
    return Evidence(scene, fine, noise, edges, registration)


def noise_per_m2(depth: NDArray[np.float32]) -> float:
    """Return the noise of a (H, W) depth image from second differences along smooth surfaces.

    Args:
        depth: (H, W) metres, 0 = no measurement.
    """
    left, middle, right = depth[:, :-4:2], depth[:, 2:-2:2], depth[:, 4::2]
    n = min(part.shape[1] for part in (left, middle, right))
    left, middle, right = left[:, :n], middle[:, :n], right[:, :n]
    bend = np.abs(left - 2 * middle + right)
    usable = (left > 0) & (middle > 0) & (right > 0) & (bend < MAX_DIFFERENCE_M)
    if not usable.any():
        return NO_NOISE
    # 1.4826: from the median absolute deviation; √6: variance of a second difference.
    return float(1.4826 * np.median(bend[usable] / middle[usable] ** 2) / math.sqrt(6))
