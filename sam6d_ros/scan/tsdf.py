"""Depth images become one surface: a truncated signed distance volume (Open3D).

Curless and Levoy, SIGGRAPH 1996; https://www.open3d.org/docs/release/tutorial/t_reconstruction_system/integration.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.scan.open3d_module import open3d
from sam6d_ros.scan.take import BELOW_M, Take

Array = NDArray[np.float64]

VOXELS_ACROSS = 160  # of the largest extent
VOXEL_RANGE_M = (0.001, 0.005)
TRUNCATION_VOXELS = 4.0
BLOCK = 8
MIN_WEIGHT = 1.5  # observations below which there is no surface: it takes two
FAR_M = 10.0


@dataclass(frozen=True)
class Surface:
    """A triangle mesh in the frame of the region (z = 0 the plane, z up).

    Attributes:
        vertices: (V, 3) metres.
        faces: (F, 3) int32.
        voxel_m: side of a voxel of the volume it comes from.
    """

    vertices: Array
    faces: NDArray[np.int32]
    voxel_m: float


def fuse_depth(
    takes: Sequence[Take], progress: Callable[[int, int], None] | None = None
) -> Surface:
    """Fuse the depth of all used frames around the thing.

    The whole region takes part in every frame: where a camera looks through a place, a hand that
    was there for a while is averaged away.

    Args:
        takes: recordings of the thing.
        progress: called with (done, all) after each frame.

    Returns:
        The surface, in the frame of the first take's region.

    Raises:
        InvalidInput: no surface results.
    """
    size = takes[0].region.size
    voxel = float(np.clip(size.max() / VOXELS_ACROSS, *VOXEL_RANGE_M))
    volume, blocks = _volume(size, voxel)
    jobs = [(take, int(index)) for take in takes for index in take.motion.used]
    for done, (take, index) in enumerate(jobs, start=1):
        _integrate(volume, blocks, take, index)
        if progress is not None:
            progress(done, len(jobs))
    mesh = volume.extract_triangle_mesh(weight_threshold=MIN_WEIGHT).to_legacy()
    surface = Surface(
        np.asarray(mesh.vertices, np.float64), np.asarray(mesh.triangles, np.int32), voxel
    )
    if len(surface.faces) == 0:
        raise InvalidInput(
            f"no surface was seen {MIN_WEIGHT:.0f} times at one place in {len(jobs)} frames; "
            "expected a thing that stands still. Record more slowly, or check the camera poses"
        )
    return surface


def _volume(size: Array, voxel: float) -> tuple[Any, Any]:
    """Return an empty volume, and all blocks of the region as Open3D's tensor."""
    o3d = open3d()
    half, side = size[:2] / 2, voxel * BLOCK
    low = np.floor(np.array([*-half, -BELOW_M]) / side).astype(np.int32)
    high = np.ceil(np.array([*half, size[2]]) / side).astype(np.int32)
    axes = [np.arange(a, b, dtype=np.int32) for a, b in zip(low, high, strict=True)]
    blocks = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    volume = o3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight"),
        attr_dtypes=(o3d.core.float32, o3d.core.float32),
        attr_channels=((1), (1)),
        voxel_size=voxel,
        block_resolution=BLOCK,
        block_count=len(blocks),
    )
    return volume, o3d.core.Tensor(np.ascontiguousarray(blocks))


def _integrate(volume: Any, blocks: Any, take: Take, index: int) -> None:
    o3d = open3d()
    frame, depth = take.depth(index)
    image = o3d.t.geometry.Image(np.ascontiguousarray(depth))
    intrinsic = o3d.core.Tensor(np.asarray(frame.camera.matrix, np.float64))
    extrinsic = o3d.core.Tensor(np.ascontiguousarray(se3.inverse(take.object_from_cam(index))))
    volume.integrate(blocks, image, intrinsic, extrinsic, 1.0, FAR_M, TRUNCATION_VOXELS)
