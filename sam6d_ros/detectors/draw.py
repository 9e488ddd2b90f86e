"""Pictures of boxes with names and scores."""

from __future__ import annotations

import colorsys
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.types import Boxes

FONT = cv2.FONT_HERSHEY_SIMPLEX
TEXT_HEIGHT_PX = 20  # at 640 pixels of width


def draw_boxes(image_rgb: NDArray[np.uint8], boxes: Boxes) -> NDArray[np.uint8]:
    """Return a copy of an image (H, W, 3) uint8 with masks, boxes, names and scores."""
    picture = image_rgb.copy()
    factor = max(picture.shape[1] / 640, 0.5)
    width = max(round(2 * factor), 1)
    for label, mask in zip(boxes.labels, () if boxes.masks is None else boxes.masks, strict=False):
        picture[mask] = picture[mask] // 2 + np.array(_color(label), np.uint8) // 2
    for label, score, xyxy in zip(boxes.labels, boxes.scores, boxes.xyxy, strict=True):
        left, top, right, bottom = (round(float(edge)) for edge in xyxy)
        color = _color(label)
        cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), color, width)
        text = f"{label} {score:.2f}"
        baseline = max(top, round(TEXT_HEIGHT_PX * factor)) - round(5 * factor)
        for ink, thickness in (((0, 0, 0), 3 * width), (color, width)):
            cv2.putText(picture, text, (left, baseline), FONT, 0.5 * factor, ink, thickness)
    return picture


def _color(label: str) -> tuple[int, int, int]:
    """Return a bright colour that is the same for a name in every run."""
    red, green, blue = colorsys.hsv_to_rgb(zlib.crc32(label.encode()) % 360 / 360, 0.7, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
