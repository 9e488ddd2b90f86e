"""One recording of an object with its camera motion, its place and the pixels that count."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, project
from sam6d_ros.scan.heights import Footprint
from sam6d_ros.scan.motion import Frames, Motion
from sam6d_ros.scan.region import Region
from sam6d_ros.types import Frame

Array = NDArray[np.float64]
Depth = NDArray[np.float32]
Flags = NDArray[np.bool_]

EDGE_M = 0.012  # a step between neighbours beyond which both may be flying pixels
BELOW_M = 0.02
ON_PLANE_M = 0.005  # height up to which a pixel belongs to the plane


@dataclass(frozen=True)
class Take:
    """One recording.

    Attributes:
        frames: the recording.
        motion: its camera poses.
        region: place of the object on its plane.
        masks: (N, H, W) bool pixels of the object in each frame, if they are known.
        object_from_stand: (4, 4) from the region's frame into that of the first take.
        without_plane: whether the plane is left out, since another take shows what it hides.
        footprint: where the thing covers the plane: low pixels there are those of the thing.
        left_out: moving things by frame: (H, W) bool.
    """

    frames: Frames
    motion: Motion
    region: Region
    masks: Flags | None = None
    object_from_stand: Array = field(default_factory=lambda: np.eye(4))
    without_plane: bool = False
    footprint: Footprint | None = None
    left_out: dict[int, Flags] = field(default_factory=dict)

    def object_from_cam(self, index: int) -> Array:
        """Return (4, 4) pose of a camera in the frame of the first take."""
        return self.object_from_stand @ self._stand_from_cam(index)

    def _stand_from_cam(self, index: int) -> Array:
        return np.asarray(self.region.stand_from_world @ self.motion.world_from_cam[index])

    def depth(self, index: int) -> tuple[Frame, Depth]:
        """Return a frame, and its depth (H, W) metres without what must not be fused.

        Depth outside the region stays: it proves the space before it to be free.
        """
        frame = self.frames.frame(index)
        depth = np.where(_at_steps(frame.depth), 0, frame.depth).astype(np.float32)
        inside, height = self.inside(frame.camera, depth, index)
        out = inside & (height < ON_PLANE_M) if self.without_plane else np.zeros_like(inside)
        if self.without_plane and self.footprint is not None:
            x, y, _ = placed(frame.camera, depth, self._stand_from_cam(index))
            out &= ~self.footprint.holds(x, y)
        if self.masks is not None:
            out |= inside & ~self.masks[index] & (height >= ON_PLANE_M)
        if index in self.left_out:
            out |= self.left_out[index]
        return frame, np.where(out, 0, depth).astype(np.float32)

    def inside(self, camera: CameraIntrinsics, depth: Depth, index: int) -> tuple[Flags, Depth]:
        """Return (H, W) whether each pixel is inside the box of the region, and its height, m."""
        x, y, z = placed(camera, depth, self._stand_from_cam(index))
        half, height = self.region.size[:2] / 2, self.region.size[2]
        inside = (np.abs(x) < half[0]) & (np.abs(y) < half[1]) & (z < height) & (z > -BELOW_M)
        return np.asarray(inside & (depth > 0)), z

    def corners(self) -> Array:
        """Return the corners (8, 3) of the region's box in the frame of the first take."""
        half, height = self.region.size[:2] / 2, self.region.size[2]
        sides = [(-half[0], half[0]), (-half[1], half[1]), (-BELOW_M, height)]
        box = np.stack(np.meshgrid(*sides), -1).reshape(-1, 3)
        return se3.transform(self.object_from_stand, box)


def placed(camera: CameraIntrinsics, depth: Depth, pose: Array) -> tuple[Depth, Depth, Depth]:
    """Return x, y and z (H, W) metres of all pixels in another frame.

    Sums of a row and a column, no product of matrices: that of 300 000 points keeps all threads of
    a linear algebra library busy.

    Args:
        camera: intrinsics.
        depth: (H, W) float32 metres.
        pose: (4, 4) other frame from camera.
    """
    u = ((np.arange(camera.width) - camera.cx) / camera.fx).astype(np.float32)[None, :]
    v = ((np.arange(camera.height) - camera.cy) / camera.fy).astype(np.float32)[:, None]
    turn, shift = pose[:3, :3].astype(np.float32), pose[:3, 3].astype(np.float32)
    x, y, z = (
        depth * (row[0] * u + (row[1] * v + row[2])) + offset
        for row, offset in zip(turn, shift, strict=True)
    )
    return x, y, z


def seen_part(camera: CameraIntrinsics, points_cam: Array) -> tuple[int, int, int, int]:
    """Return the rectangle (x, y, width, height) of the image around points in front of it.

    The whole image, if one of the points (N, 3) lies behind the camera.
    """
    pixels = project(camera, points_cam)
    size = np.array([camera.width, camera.height])
    if not np.isfinite(pixels).all():
        return 0, 0, camera.width, camera.height
    low = np.clip(np.floor(pixels.min(0)) - 1, 0, size - 1).astype(int)
    high = np.clip(np.ceil(pixels.max(0)) + 2, low + 1, size).astype(int)
    (x, y), (width, height) = low.tolist(), (high - low).tolist()
    return x, y, width, height


def _at_steps(depth: Depth) -> Flags:
    """Return pixels next to a step or a hole, where cameras measure between two surfaces."""
    kernel = np.ones((3, 3), np.uint8)
    near = np.where(depth > 0, depth, np.float32(1e3))
    return np.asarray((cv2.dilate(depth, kernel) - cv2.erode(near, kernel)) > EDGE_M)
