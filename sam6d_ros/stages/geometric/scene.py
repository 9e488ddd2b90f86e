"""What the geometric stages look up in a frame: depth, normals and colour at a working size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.types import Frame

WORKING_WIDTH = 640  # pixels; larger images are reduced: finer detail than this decides nothing
COLOR_BLUR_PX = 1.5  # evens out sensor noise and a few pixels of colour-depth misregistration
GREY_STEP_PX, GREY_SPREAD, GREY_SHARE = 4, 3, 0.001  # sampling, levels, pixels beyond them
NORMAL_RADIUS_PX = 5
NORMAL_STEP_PX = 2
NORMAL_JUMP = 0.02  # a neighbour farther than this share of the depth is another surface


@dataclass(frozen=True)
class SceneMaps:
    """A frame, prepared for random access.

    Attributes:
        camera: intrinsics at the working size.
        depth: (H, W) float32 metres, 0 invalid.
        normals: (H, W, 3) float32 unit, camera frame, towards the camera; 0 where unknown.
        lab: (H, W, 3) float32 CIE L*a*b*, blurred.
        scale: working size over original size.
        is_grey: whether the image has no colour, so that only lightness can be compared.
    """

    camera: CameraIntrinsics
    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    lab: NDArray[np.float32]
    scale: float
    is_grey: bool = False


def scene_maps(frame: Frame) -> SceneMaps:
    """Compute the maps of a frame; stages share them by ``Scene.derived(scene_maps)``."""
    scale = min(1.0, WORKING_WIDTH / frame.camera.width)
    camera = frame.camera if scale == 1 else frame.camera.scaled(scale)
    size = (camera.width, camera.height)
    # Depth must not be averaged across edges; colour must, or it aliases.
    depth = cv2.resize(frame.depth, size, interpolation=cv2.INTER_NEAREST)
    rgb = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
    lab = lab_of(rgb, COLOR_BLUR_PX)
    return SceneMaps(camera, depth, normal_map(depth, camera), lab, scale, is_grey(rgb))


def at_working_size(mask: NDArray[np.bool_], scene: SceneMaps) -> NDArray[np.bool_]:
    """A mask of the frame at the scene's size."""
    return resized(mask, (scene.camera.width, scene.camera.height))


def resized(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask at another (width, height)."""
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def lab_of(rgb: NDArray[np.uint8], blur_px: float) -> NDArray[np.float32]:
    """CIE L*a*b* (H, W, 3) float32 of a blurred (H, W, 3) uint8 RGB image."""
    smooth = cv2.GaussianBlur(rgb, (0, 0), blur_px) if blur_px > 0 else rgb
    return cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def is_grey(rgb: NDArray[np.uint8]) -> bool:
    """Whether the channels of an (H, W, 3) image are equal nearly everywhere.

    Chroma of a grey image that was saved as a colour JPEG is off by a level or two; the noise of a
    colour camera is larger.
    """
    sample = rgb[::GREY_STEP_PX, ::GREY_STEP_PX].astype(np.int16)
    spread = sample.max(axis=2) - sample.min(axis=2)
    return bool((spread > GREY_SPREAD).mean() < GREY_SHARE)


def lightness_only(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (..., 3) L*a*b* colours without chroma, to be compared with a grey image."""
    out = np.zeros_like(lab)
    out[..., 0] = lab[..., 0]
    return out


def normal_map(
    depth: NDArray[np.float32], camera: CameraIntrinsics, corner_xy: tuple[int, int] = (0, 0)
) -> NDArray[np.float32]:
    """Unit normals (H, W, 3) towards the camera of a depth image in metres; 0 where unknown.

    ``corner_xy`` is the pixel of the camera's image where a part of it begins.

    Inverse depth is linear in the pixel coordinates of a plane, so a linear fit of 1/z over the
    neighbours on the same surface gives the plane without a bias from perspective.
    """
    x, y = corner_xy
    return _normals(depth, camera.fx, camera.fy, camera.cx - x, camera.cy - y)


@njit(parallel=True, cache=True, fastmath=True)
def _normals(depth, fx, fy, cx, cy):  # type: ignore[no-untyped-def]  # noqa: PLR0915
    height, width = depth.shape
    out = np.zeros((height, width, 3), np.float32)
    radius, step = NORMAL_RADIUS_PX, NORMAL_STEP_PX
    for y in prange(height):
        for x in range(width):
            z = depth[y, x]
            if z <= 0:
                continue
            n = 0
            su = sv = suu = suv = svv = sw = suw = svw = 0.0
            for dy in range(-radius, radius + 1, step):
                yy = y + dy
                if yy < 0 or yy >= height:
                    continue
                for dx in range(-radius, radius + 1, step):
                    xx = x + dx
                    if xx < 0 or xx >= width:
                        continue
                    zz = depth[yy, xx]
                    if zz <= 0 or abs(zz - z) > NORMAL_JUMP * z:
                        continue
                    w = z / zz
                    n += 1
                    su += dx
                    sv += dy
                    suu += dx * dx
                    suv += dx * dy
                    svv += dy * dy
                    sw += w
                    suw += dx * w
                    svw += dy * w
            if n < 8:
                continue
            auu, auv, avv = suu - su * su / n, suv - su * sv / n, svv - sv * sv / n
            bu, bv = suw - su * sw / n, svw - sv * sw / n
            det = auu * avv - auv * auv
            if det < 1e-3 * n:
                continue
            gu = (avv * bu - auv * bv) / det
            gv = (auu * bv - auv * bu) / det
            base = (sw - gu * su - gv * sv) / n
            # 1/z = A·(x/z) + B·(y/z) + C has normal ∝ (A, B, C)
            nx, ny = gu * fx, gv * fy
            nz = base - gu * (x - cx) - gv * (y - cy)
            norm = np.sqrt(nx * nx + ny * ny + nz * nz)
            if norm < 1e-9:
                continue
            out[y, x, 0] = -nx / norm
            out[y, x, 1] = -ny / norm
            out[y, x, 2] = -nz / norm
    return out
