"""Pictures of poses, masks and depth residuals: RGB arrays in, RGB arrays out."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, project
from sam6d_ros.types import Frame, PoseEstimate

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

# RGB; far apart in hue and readable on dark and bright ground.
PALETTE: tuple[Color, ...] = (
    (57, 255, 20),
    (255, 99, 71),
    (0, 191, 255),
    (255, 215, 0),
    (218, 112, 214),
    (0, 250, 200),
    (255, 140, 0),
    (154, 140, 255),
)
AXES: tuple[Color, ...] = ((255, 40, 40), (40, 220, 40), (60, 110, 255))  # x, y, z
BOX_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]
RESIDUAL_RANGE_M = 0.02  # the residual map saturates here
SHIFT = 4  # OpenCV draws at 1/16 pixel


def color_of(name: str) -> Color:
    """The colour of an object, the same in every picture."""
    return PALETTE[zlib.crc32(name.encode()) % len(PALETTE)]


def draw_poses(
    rgb: Image,
    camera: CameraIntrinsics,
    poses: Sequence[PoseEstimate],
    models: Mapping[str, ObjectModel],
    parts: Sequence[str] = ("contour", "box", "axes", "label"),
) -> Image:
    """Draw each model's contour, box, axes and label over the image.

    Args:
        rgb: (H, W, 3) uint8; not changed.
        camera: intrinsics of the image.
        poses: poses, best first.
        models: by ``class_id``; poses of other objects are left out.
        parts: which of "contour", "box", "axes", "label" to draw.

    Returns:
        (H, W, 3) uint8, a new image.
    """
    out = np.ascontiguousarray(rgb).copy()
    for pose in reversed(poses):  # the best one on top
        model = models.get(pose.class_id)
        if model is None:
            continue
        if "box" in parts:
            draw_box(out, camera, pose, model)
        if "contour" in parts:
            draw_contour(out, silhouette(camera, pose, model), color_of(model.name))
        if "axes" in parts:
            draw_axes(out, camera, pose, model)
        if "label" in parts:
            draw_label(out, camera, pose, model)
    return out


def silhouette(
    camera: CameraIntrinsics, pose: PoseEstimate, model: ObjectModel
) -> NDArray[np.bool_]:
    """(H, W) mask of the model at a pose, as if nothing stood before it."""
    mask = np.zeros((camera.height, camera.width), bool)
    roi = image_rectangle(camera, pose, model)
    if roi is None:
        return mask
    x, y, width, height = roi
    rendering = model.scene.render(camera, pose.cam_from_obj, roi)
    mask[y : y + height, x : x + width] = rendering.mask
    return mask


def image_rectangle(
    camera: CameraIntrinsics, pose: PoseEstimate, model: ObjectModel, margin: float = 0.0
) -> tuple[int, int, int, int] | None:
    """Compute the pixels that the model's box covers; None if it is outside the image.

    Args:
        camera: intrinsics of the image.
        pose: pose of the model.
        model: the model.
        margin: how much larger, as a fraction of the larger side.

    Returns:
        x, y, width and height in pixels, or None.
    """
    corners = project(camera, se3.transform(pose.cam_from_obj, model.box_corners))
    if np.isnan(corners).any():  # partly behind the camera
        return (0, 0, camera.width, camera.height)
    low, high = corners.min(axis=0), corners.max(axis=0)
    grow = margin * (high - low).max()
    size = np.array([camera.width, camera.height])
    start = np.clip(np.floor(low - grow), 0, size).astype(int)
    stop = np.clip(np.ceil(high + grow) + 1, 0, size).astype(int)
    if (stop <= start).any():
        return None
    return (int(start[0]), int(start[1]), int(stop[0] - start[0]), int(stop[1] - start[1]))


def draw_contour(image: Image, mask: NDArray[np.bool_], color: Color) -> None:
    """Outline a mask, in place."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(image, contours, -1, color, line_width(image), cv2.LINE_AA)


def draw_box(
    image: Image, camera: CameraIntrinsics, pose: PoseEstimate, model: ObjectModel
) -> None:
    """Draw the edges of the model's box, in place."""
    corners = project(camera, se3.transform(pose.cam_from_obj, model.box_corners))
    dimmed = tuple(int(0.6 * value) for value in color_of(model.name))
    for a, b in BOX_EDGES:
        draw_line(image, corners[a], corners[b], dimmed, 1)


def draw_axes(
    image: Image, camera: CameraIntrinsics, pose: PoseEstimate, model: ObjectModel
) -> None:
    """Draw the axes of the CAD origin (x red, y green, z blue), half a diameter long, in place."""
    ends = np.vstack([np.zeros(3), 0.5 * model.diameter * np.eye(3)])
    pixels = project(camera, se3.transform(pose.cam_from_obj, ends))
    for end, color in zip(pixels[1:], AXES, strict=True):
        draw_line(image, pixels[0], end, color, line_width(image) + 1)


def draw_label(
    image: Image, camera: CameraIntrinsics, pose: PoseEstimate, model: ObjectModel
) -> None:
    """Write name and score above the object, in place."""
    roi = image_rectangle(camera, pose, model)
    if roi is not None:
        write(
            image, f"{pose.class_id} {pose.score:.2f}", (roi[0], roi[1] - 4), color_of(model.name)
        )


def write(image: Image, text: str, origin: tuple[int, int], color: Color) -> None:
    """Write text on a dark ground, moved into the image where needed, in place."""
    scale = max(0.4, image.shape[1] / 1600)
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = int(np.clip(origin[0], 0, max(0, image.shape[1] - width - 1)))
    y = int(np.clip(origin[1], height + 2, max(height + 2, image.shape[0] - base - 1)))
    cv2.rectangle(image, (x, y - height - 2), (x + width, y + base), (20, 20, 20), -1)
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)


def draw_line(image: Image, start: NDArray, stop: NDArray, color: tuple, width: int) -> None:
    """Draw a line between two pixels unless one is behind the camera, in place."""
    ends = np.stack([start, stop])
    if np.isfinite(ends).all() and np.abs(ends).max() < 1e5:  # OpenCV overflows beyond
        a, b = (tuple(int(value) for value in np.round(end * 2**SHIFT)) for end in ends)
        cv2.line(image, a, b, color, width, cv2.LINE_AA, SHIFT)


def line_width(image: Image) -> int:
    """Two pixels at 1280 wide, at least one."""
    return max(1, round(image.shape[1] / 640))


def draw_masks(rgb: Image, masks: Sequence[NDArray[np.bool_]], labels: Sequence[str]) -> Image:
    """Tint each mask in its own colour, outline it and write its label beside it."""
    out = rgb.copy()
    for index, mask in enumerate(masks):
        out[mask] = (0.55 * out[mask] + 0.45 * np.asarray(PALETTE[index % 8])).astype(np.uint8)
    for index, (mask, label) in enumerate(zip(masks, labels, strict=True)):
        draw_contour(out, mask, PALETTE[index % 8])
        rows, cols = np.nonzero(mask)
        if rows.size:
            write(out, label, (int(np.median(cols)), int(np.median(rows))), PALETTE[index % 8])
    return out


def depth_residual(frame: Frame, pose: PoseEstimate, model: ObjectModel) -> Image:
    """Draw the image in grey, with measured − rendered depth in colour where the model is.

    Blue: the measurement is nearer than the model (something is in front, or the pose is too
    far). Red: it is farther (the model claims a surface that is not there). Green: they agree.
    The colours saturate at ±RESIDUAL_RANGE_M; black is where nothing was measured.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    grey = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY) // 2
    out: Image = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
    rendering = model.scene.render(frame.camera, pose.cam_from_obj)
    known = rendering.mask & (frame.depth > 0)
    scaled = (frame.depth - rendering.depth) / (2 * RESIDUAL_RANGE_M) + 0.5
    levels = (np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    colors = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    out[known] = colors[known]
    out[rendering.mask & ~known] = 0
    draw_contour(out, rendering.mask, (255, 255, 255))
    return out


def crop_tile(image: Image, roi: tuple[int, int, int, int], size: int) -> Image:
    """Cut out a rectangle (x, y, width, height) and fit it into a square tile."""
    x, y, width, height = roi
    scale = size / max(width, height)
    part = cv2.resize(
        image[y : y + height, x : x + width],
        (max(1, int(width * scale)), max(1, int(height * scale))),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    tile = blank_tile(size)
    tile[: part.shape[0], : part.shape[1]] = part
    return tile


def blank_tile(size: int) -> Image:
    """An empty square."""
    return np.full((size, size, 3), 30, np.uint8)


def montage(tiles: Sequence[Image], columns: int = 4) -> Image:
    """Tiles of one size side by side, row by row."""
    blank = blank_tile(len(tiles[0]))
    rows = [list(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    width = min(columns, len(tiles))
    return np.vstack([np.hstack(row + [blank] * (width - len(row))) for row in rows])
