"""Detection of a colour image that is shifted against the depth image.

Steps in depth are edges of colour too. The strength of the colour edges is averaged over the depth
steps for every shift; a peak away from no shift is the misregistration.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.types import Frame

Array = NDArray[np.float32]

WIDTH = 320  # of the compared images, pixels
REACH = 24  # largest shift, pixels of these
LEAST_SHIFT = 5.0  # consumer cameras are misregistered by up to 2 pixels of these
STEP_M, STEP_SHARE = 0.02, 0.02  # a step in depth is larger than this, plus this share of z
LEAST_PIXELS = 150  # of depth steps
SATURATION = 95  # percentile of the edge strengths that counts as one
# On registered frames the peak is within 5 pixels, or lower than these (0.35 and 2.5). Shifted by
# 9 to 20 pixels: 0.51 to 1.0, 3.4 to 8.6 and, for the gain, 0.30 to 1.2.
MIN_PEAK, MIN_DEVIATIONS, MIN_GAIN = 0.45, 3.3, 0.28


def registration_warning(frame: Frame) -> str:
    """Return the warning that colour and depth are not registered; "" if they fit.

    Args:
        frame: the image.
    """
    steps, edges = depth_steps(frame.depth), color_edges(frame.rgb)
    for border in (np.s_[:REACH], np.s_[-REACH:]):
        steps[border] = steps[:, border] = False
    if steps.sum() < LEAST_PIXELS:
        return ""
    response = _response(steps, edges)
    row, column = np.unravel_index(int(response.argmax()), response.shape)
    shift = np.array([column - REACH, row - REACH])
    peak, level = float(response.max()), float(np.median(response))
    near = float(response[REACH - 3 : REACH + 4, REACH - 3 : REACH + 4].max())
    deviations, gain = (peak - level) / float(response.std()), (peak - near) / (peak - level)
    if np.hypot(*shift) < LEAST_SHIFT or peak < MIN_PEAK:
        return ""
    if deviations < MIN_DEVIATIONS or gain < MIN_GAIN:
        return ""
    x, y = (shift * frame.camera.width / steps.shape[1]).round().astype(int)
    return (
        f"colour and depth seem not to be registered: the edges of the colour image fit the steps "
        f"of the depth image best at a shift of ({x}, {y}) pixels (correlation {peak:.2f}, without "
        f"shift {near:.2f}; expected is no shift). Use the depth image registered to colour "
        "(aligned_depth_to_color, depth_registered), and the intrinsics of the colour camera"
    )


def depth_steps(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the pixels at depth steps, (h, w) bool, at about ``WIDTH`` pixels of width.

    Args:
        depth: (H, W) metres, 0 = no measurement.
    """
    stride = max(1, round(depth.shape[1] / WIDTH))
    small = depth[::stride, ::stride]
    steps = np.zeros(small.shape, bool)
    for out, image in ((steps, small), (steps.T, small.T)):
        before, after = image[:-2], image[2:]
        nearer = np.minimum(before, after)
        out[1:-1] |= (nearer > 0) & (np.abs(before - after) > STEP_M + STEP_SHARE * nearer)
    return steps


def color_edges(rgb: NDArray[np.uint8]) -> Array:
    """Return the strength of colour edges (h, w) in [0, 1], at about ``WIDTH`` pixels of width.

    Args:
        rgb: (H, W, 3) uint8.
    """
    stride = max(1, round(rgb.shape[1] / WIDTH))
    size = (-(-rgb.shape[1] // stride), -(-rgb.shape[0] // stride))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (0, 0), 1.0)
    across, down = (np.abs(np.gradient(lab, axis=axis)).sum(2) for axis in (1, 0))
    strength = np.hypot(across, down)
    return np.minimum(strength / max(1e-6, float(np.percentile(strength, SATURATION))), 1)


def _response(steps: NDArray[np.bool_], edges: Array) -> Array:
    """Return the mean edge strength at the depth steps for each shift, (2·REACH + 1) squared."""
    spectrum = np.fft.rfft2(edges) * np.conj(np.fft.rfft2(steps.astype(np.float32)))
    shifted = np.roll(np.fft.irfft2(spectrum, s=steps.shape), (REACH, REACH), (0, 1))
    return np.asarray(shifted[: 2 * REACH + 1, : 2 * REACH + 1] / steps.sum(), np.float32)
