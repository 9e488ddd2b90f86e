"""Depth, normal and L*a*b* maps of a frame at the working resolution."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.stages.kernels.inputs import Pinhole, RgbdMaps, Surface
from sam6d_ros.stages.kernels.normals import plane_normals
from sam6d_ros.types import Frame

WORKING_WIDTH = 640  # pixels; larger images are reduced: finer detail than this decides nothing
COLOR_BLUR_PX = 1.5  # evens out sensor noise and a few pixels of colour-depth misregistration
GREY_STEP_PX, GREY_SPREAD, GREY_SHARE = 4, 3, 0.001  # sampling, levels, pixels beyond them
NORMAL_RADIUS_PX = 5
NORMAL_STEP_PX = 2


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

    @property
    def pinhole(self) -> Pinhole:
        """Intrinsics for the compiled loops."""
        return pinhole_of(self.camera)

    def rgbd(self, labels: NDArray[np.int32]) -> RgbdMaps:
        """Return the maps for the compiled loops that need no edges.

        Args:
            labels: (H, W) int32, number of the region, 0 = none.
        """
        return RgbdMaps(self.depth, self.normals, self.lab, labels)


def scene_maps(frame: Frame) -> SceneMaps:
    """Compute the maps of a frame; stages share them by ``Scene.derived(scene_maps)``.

    Args:
        frame: the image.

    Returns:
        The maps at the working resolution.
    """
    scale = min(1.0, WORKING_WIDTH / frame.camera.width)
    camera = frame.camera if scale == 1 else frame.camera.scaled(scale)
    size = (camera.width, camera.height)
    # Depth must not be averaged across edges; colour must, or it aliases.
    depth = cv2.resize(frame.depth, size, interpolation=cv2.INTER_NEAREST)
    rgb = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
    lab = lab_of(rgb, COLOR_BLUR_PX)
    return SceneMaps(camera, depth, normal_map(depth, camera), lab, scale, is_grey(rgb))


def pinhole_of(camera: CameraIntrinsics) -> Pinhole:
    """Return the intrinsics of a camera for the compiled loops.

    Args:
        camera: of an image.
    """
    return Pinhole(float(camera.fx), float(camera.fy), float(camera.cx), float(camera.cy))


def at_working_size(mask: NDArray[np.bool_], scene: SceneMaps) -> NDArray[np.bool_]:
    """Return a mask of the frame at the working resolution.

    Args:
        mask: (H, W) bool.
        scene: maps of the frame.
    """
    return resized(mask, (scene.camera.width, scene.camera.height))


def resized(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask at another size.

    Args:
        mask: (H, W) bool.
        size: width and height, pixels.
    """
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def lab_of(rgb: NDArray[np.uint8], blur_px: float) -> NDArray[np.float32]:
    """Return the L*a*b* colours of a blurred image, (H, W, 3) float32.

    Args:
        rgb: (H, W, 3) uint8.
        blur_px: standard deviation of the blur, pixels.
    """
    smooth = cv2.GaussianBlur(rgb, (0, 0), blur_px) if blur_px > 0 else rgb
    return cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def is_grey(rgb: NDArray[np.uint8]) -> bool:
    """Return whether the channels of an image are equal nearly everywhere.

    Chroma of a grey image that was saved as a colour JPEG is off by a level or two; the noise of a
    colour camera is larger.

    Args:
        rgb: (H, W, 3) uint8.
    """
    sample = rgb[::GREY_STEP_PX, ::GREY_STEP_PX].astype(np.int16)
    spread = sample.max(axis=2) - sample.min(axis=2)
    return bool((spread > GREY_SPREAD).mean() < GREY_SHARE)


def lightness_only(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (..., 3) L*a*b* colours without chroma, to be compared with a grey image.

    Args:
        lab: (..., 3) L*a*b*.
    """
    out = np.zeros_like(lab)
    out[..., 0] = lab[..., 0]
    return out


def surface_of(model: ObjectModel, scene: SceneMaps) -> Surface:
    """Return a mesh with the colours that a scene can show: in a grey one, lightness.

    Args:
        model: the object.
        scene: maps of the frame.
    """
    lab = lightness_only(model.scene_lab) if scene.is_grey else model.scene_lab
    normals = model.scene.face_normals.astype(np.float32)
    return Surface(model.scene.faces, normals, lab, model.colors is not None)


def normal_map(
    depth: NDArray[np.float32],
    camera: CameraIntrinsics,
    corner_xy: tuple[int, int] = (0, 0),
    radius_px: int = NORMAL_RADIUS_PX,
    step_px: int = NORMAL_STEP_PX,
) -> NDArray[np.float32]:
    """Return the unit normals (H, W, 3) towards the camera of a depth image; 0 where unknown.

    ``corner_xy`` is the pixel of the camera's image where a part of it begins.

    Inverse depth is linear in the pixel coordinates of a plane, so a linear fit of 1/z over the
    neighbours on the same surface gives the plane without a bias from perspective.

    Args:
        depth: (H, W) metres, 0 = no measurement.
        camera: intrinsics of the whole image.
        corner_xy: pixel of the image at which the depth begins.
        radius_px: half the size of the neighbourhood, pixels.
        step_px: distance of its samples, pixels.
    """
    x, y = corner_xy
    return plane_normals(
        depth, camera.fx, camera.fy, camera.cx - x, camera.cy - y, radius_px, step_px
    )
