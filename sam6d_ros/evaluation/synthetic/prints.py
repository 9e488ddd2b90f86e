"""Invented labels, drawn with OpenCV: RGB images of the sides of boxes and cans."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

PIXELS_PER_M = 3000  # finer than the vertices, averaged down by ``patches``

CREAM, INK = (245, 236, 214), (38, 32, 36)


def blank(width_m: float, height_m: float, color: Color) -> Image:
    """A plain side."""
    shape = (round(height_m * PIXELS_PER_M), round(width_m * PIXELS_PER_M), 3)
    return np.full(shape, color, np.uint8)


def text(
    image: Image,
    words: str,
    centre: tuple[float, float],
    height: float,
    color: Color,
    bold: float = 0.12,
) -> None:
    """Write centred; centre and height are shares of the image's width and height."""
    rows, cols = image.shape[:2]
    scale = height * rows / 22  # Hershey capitals are 22 pixels high at scale 1
    thickness = max(1, round(bold * height * rows))
    (width, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, scale, thickness)
    if width > 0.92 * cols:
        scale *= 0.92 * cols / width
        (width, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, scale, thickness)
    at = (round(centre[0] * cols - width / 2), round(centre[1] * rows + 11 * scale))
    cv2.putText(image, words, at, cv2.FONT_HERSHEY_DUPLEX, scale, color, thickness, cv2.LINE_AA)


def stripe(image: Image, top: float, bottom: float, color: Color) -> None:
    """A horizontal band between two shares of the height."""
    rows = len(image)
    image[round(top * rows) : round(bottom * rows)] = color


def spot(image: Image, centre: tuple[float, float], radius: float, color: Color) -> None:
    """A disc; the radius is a share of the width."""
    rows, cols = image.shape[:2]
    at = (round(centre[0] * cols), round(centre[1] * rows))
    cv2.circle(image, at, max(1, round(radius * cols)), color, -1, cv2.LINE_AA)


def small_print(image: Image, top: float, bottom: float, color: Color, seed: int) -> None:
    """Rows of strokes that look like fine print."""
    rng = np.random.default_rng(seed)
    rows, cols = image.shape[:2]
    step = max(6, round(0.03 * rows))
    for row in range(round(top * rows), round(bottom * rows), step):
        left = 0.1
        while left < 0.85:
            right = min(0.9, left + rng.uniform(0.03, 0.14))
            ends = (round(left * cols), row), (round(right * cols), row)
            cv2.line(image, *ends, color, max(1, step // 3), cv2.LINE_AA)
            left = right + 0.025


def barcode(image: Image, left: float, top: float, width: float, height: float, seed: int) -> None:
    """A white field with bars."""
    rng = np.random.default_rng(seed)
    rows, cols = image.shape[:2]
    y0, y1 = round(top * rows), round((top + height) * rows)
    x0, x1 = round(left * cols), round((left + width) * cols)
    image[y0:y1, x0:x1] = 255
    x, pad = x0 + 8, max(2, (y1 - y0) // 12)
    while x < x1 - 12:
        bar = int(rng.integers(2, 8))
        image[y0 + pad : y1 - pad, x : x + bar] = INK
        x += bar + int(rng.integers(2, 8))


def tea_box(size: tuple[float, float, float]) -> list[Image]:
    """Six sides of a tea carton: front, back, left, right, top, bottom."""
    width, depth, height = size
    green, gold, red = (24, 110, 72), (226, 172, 56), (188, 44, 40)
    front = blank(width, height, green)
    stripe(front, 0.0, 0.07, gold)
    stripe(front, 0.62, 0.66, gold)
    spot(front, (0.34, 0.80), 0.16, CREAM)
    spot(front, (0.34, 0.80), 0.12, (196, 104, 32))
    spot(front, (0.72, 0.86), 0.09, red)
    text(front, "ALPINE", (0.5, 0.24), 0.11, CREAM)
    text(front, "HERB TEA", (0.5, 0.42), 0.075, gold)
    text(front, "20 bags", (0.74, 0.72), 0.035, CREAM)
    back = blank(width, height, CREAM)
    stripe(back, 0.0, 0.2, green)
    text(back, "ALPINE", (0.5, 0.1), 0.07, CREAM)
    small_print(back, 0.28, 0.66, INK, 3)
    barcode(back, 0.52, 0.76, 0.4, 0.16, 4)
    spot(back, (0.24, 0.84), 0.12, red)
    left = blank(depth, height, gold)
    small_print(left, 0.1, 0.5, INK, 5)
    stripe(left, 0.7, 1.0, green)
    right = blank(depth, height, red)
    text(right, "TEA", (0.5, 0.25), 0.09, CREAM)
    stripe(right, 0.45, 0.5, CREAM)
    small_print(right, 0.6, 0.9, CREAM, 6)
    top = blank(width, depth, green)
    text(top, "ALPINE", (0.4, 0.5), 0.3, gold)
    spot(top, (0.85, 0.5), 0.08, red)
    return [front, back, left, right, top, blank(width, depth, (150, 120, 90))]


def soup_label(around: float, height: float) -> Image:
    """The label around a can."""
    label = blank(around, height, (196, 40, 36))
    stripe(label, 0.0, 0.06, (200, 200, 205))
    stripe(label, 0.94, 1.0, (200, 200, 205))
    stripe(label, 0.5, 0.94, CREAM)
    text(label, "POMODORO", (0.27, 0.27), 0.2, CREAM)
    text(label, "tomato soup", (0.27, 0.62), 0.1, INK)
    for x in (0.19, 0.27, 0.35):
        spot(label, (x, 0.80), 0.034, (214, 60, 30))
        spot(label, (x + 0.005, 0.73), 0.01, (60, 130, 40))
    rows, cols = label.shape[:2]
    back = label[round(0.55 * rows) : round(0.92 * rows), round(0.55 * cols) :]
    small_print(back, 0.1, 0.9, INK, 8)
    barcode(label, 0.66, 0.12, 0.2, 0.3, 9)
    return label


def bottle_label(around: float, height: float) -> Image:
    """The wrap of a detergent bottle: white with a blue panel in front and text on the back."""
    wrap = blank(around, height, (236, 238, 240))
    rows, cols = wrap.shape[:2]
    panel = wrap[round(0.42 * rows) : round(0.9 * rows), round(0.05 * cols) : round(0.45 * cols)]
    panel[:] = (28, 84, 170)
    text(panel, "BRIO", (0.5, 0.3), 0.24, (250, 214, 40))
    text(panel, "clean", (0.5, 0.62), 0.14, (240, 240, 240))
    spot(panel, (0.8, 0.85), 0.12, (60, 180, 90))
    back = wrap[round(0.45 * rows) : round(0.88 * rows), round(0.55 * cols) : round(0.93 * cols)]
    back[:] = (250, 214, 40)
    small_print(back, 0.1, 0.65, INK, 12)
    barcode(back, 0.1, 0.72, 0.5, 0.22, 13)
    return wrap


def mug_print(around: float, height: float) -> Image:
    """A blue mug with a white band and dots on one side."""
    wrap = blank(around, height, (40, 92, 150))
    stripe(wrap, 0.0, 0.05, (238, 238, 232))
    stripe(wrap, 0.72, 0.8, (238, 238, 232))
    for k, x in enumerate((0.36, 0.44, 0.52, 0.60)):
        spot(wrap, (x, 0.36 + 0.08 * (k % 2)), 0.03, (246, 196, 60))
    return wrap


def cat_fur(seed: int) -> Image:
    """Striped orange fur as a globe map, white below."""
    rng = np.random.default_rng(seed)
    fur = np.full((200, 400, 3), (214, 130, 52), np.uint8)
    for x in range(20, 400, 48):
        offset = int(rng.integers(-8, 8))
        cv2.ellipse(fur, (x + offset, 50), (8, 58), 0, 0, 360, (150, 78, 26), -1, cv2.LINE_AA)
    fur[165:] = (240, 232, 220)
    return fur


def cat_face() -> Image:
    """The map of the head: seam towards the back (see ``objects.toy_cat``)."""
    face = np.full((200, 400, 3), (214, 130, 52), np.uint8)
    cv2.ellipse(face, (200, 125), (44, 34), 0, 0, 360, (240, 232, 220), -1, cv2.LINE_AA)
    for x in (168, 232):
        cv2.circle(face, (x, 86), 13, (240, 240, 200), -1, cv2.LINE_AA)
        cv2.circle(face, (x, 86), 7, (20, 24, 20), -1, cv2.LINE_AA)
    cv2.circle(face, (200, 110), 8, (196, 92, 100), -1, cv2.LINE_AA)
    cv2.ellipse(face, (200, 128), (16, 8), 0, 0, 180, (60, 30, 24), 3, cv2.LINE_AA)
    for x in (150, 200, 250):
        cv2.ellipse(face, (x, 30), (6, 24), 0, 0, 360, (150, 78, 26), -1, cv2.LINE_AA)
    return face


def wood(shape: tuple[int, int], seed: int, base: Color = (176, 134, 92)) -> Image:
    """A board with grain along the rows."""
    rng = np.random.default_rng(seed)
    rows, cols = shape
    coarse = rng.normal(size=(rows // 4 + 2, cols // 90 + 2)).astype(np.float32)
    fine = rng.normal(size=(rows + 2, cols // 24 + 2)).astype(np.float32)
    grain = cv2.resize(coarse, (cols, rows), interpolation=cv2.INTER_CUBIC)
    grain = 0.7 * grain + 0.35 * cv2.resize(fine, (cols, rows), interpolation=cv2.INTER_LINEAR)
    boards = (np.arange(rows) * 5 // rows)[:, None]
    tone = 1 + 0.06 * grain + 0.05 * rng.normal(size=5)[boards]
    gap = np.arange(rows)[:, None] % (rows // 5) < 2
    out = np.asarray(base) * np.where(gap, 0.72, tone)[..., None]
    return np.clip(out, 0, 255).astype(np.uint8)
