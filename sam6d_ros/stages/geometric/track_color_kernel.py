"""The compiled loops of tracking that look at colour: spots whose colours are known."""

from __future__ import annotations

import numpy as np
from numba import njit

from sam6d_ros.stages.geometric.kernels import accumulate, pixel, set_jacobian

COLOR_SIGMA = (5.0, 4.0, 4.0)  # L*a*b* units: noise, and light that changes with the view
COLOR_CUT = 3.0  # sigmas beyond which a colour says nothing
GAIN_VARIANCE = 40.0  # (L*a*b* units)²: a channel that varies less has no gain to estimate
GAIN_LIMITS = (0.4, 1.6)


@njit(cache=True, fastmath=True)
def place_spots(nearest, farthest, camera, spots, rot, trans, gate, at, matched):  # type: ignore[no-untyped-def]
    """Where the spots lie, camera frame, and around which of them the depth shows them alone.

    Beside an edge the colour may be that of the other side: it is blurred, and rarely registered
    to the pixel. It would stick to the occluder and drag the object along.
    """
    height, width = nearest.shape
    fx, fy, cx, cy = camera
    for i in range(len(spots)):
        matched[i] = False
        for j in range(3):
            at[i, j] = trans[j]
            for k in range(3):
                at[i, j] += rot[j, k] * spots[i, k]
        z = at[i, 2]
        if z <= 0:
            continue
        u, v = pixel(fx * at[i, 0] / z + cx), pixel(fy * at[i, 1] / z + cy)
        if u < 0 or v < 0 or u >= width or v >= height:
            continue
        near, far = nearest[int(v), int(u)], farthest[int(v), int(u)]
        matched[i] = far > 0 and abs(near - z) < gate and abs(far - z) < gate


@njit(cache=True, fastmath=True)
def color_terms(  # type: ignore[no-untyped-def]
    lab, camera, at, matched, colors, centre, rot, trans, weight, seen, information, vector
):  # fmt: skip
    """Colours of the matched points against the image, each channel up to gain and offset."""
    height, width = lab.shape[:2]
    fx, fy, cx, cy = camera
    count = len(at)
    for i in range(count):
        if not matched[i]:
            continue
        u, v = fx * at[i, 0] / at[i, 2] + cx, fy * at[i, 1] / at[i, 2] + cy
        if u < 1 or v < 1 or u >= width - 2 or v >= height - 2:
            matched[i] = False
            continue
        for ch in range(3):
            seen[i, ch] = _bilinear(lab, u, v, ch)
    c = np.empty(3)
    for i in range(3):
        c[i] = trans[i] + rot[i, 0] * centre[0] + rot[i, 1] * centre[1] + rot[i, 2] * centre[2]
    jac = np.empty(6)
    for ch in range(3):
        gain, offset = _gain(colors, seen, matched, ch)
        sigma = COLOR_SIGMA[ch]
        scale = weight / (sigma * sigma)
        cut = COLOR_CUT * sigma
        for i in range(count):
            if not matched[i]:
                continue
            e = gain * colors[i, ch] + offset - seen[i, ch]
            if abs(e) > cut:
                continue
            x, y, z = at[i, 0], at[i, 1], at[i, 2]
            u, v = fx * x / z + cx, fy * y / z + cy
            gu = 0.5 * (_bilinear(lab, u + 1, v, ch) - _bilinear(lab, u - 1, v, ch))
            gv = 0.5 * (_bilinear(lab, u, v + 1, ch) - _bilinear(lab, u, v - 1, ch))
            mx, my = gu * fx / z, gv * fy / z
            mz = -(mx * x + my * y) / z
            rx, ry, rz = x - c[0], y - c[1], z - c[2]
            set_jacobian(jac, mx, my, mz, rx, ry, rz)
            accumulate(jac, e, scale * (1.0 - (e / cut) ** 2) ** 2, information, vector)


@njit(cache=True, fastmath=True)
def _gain(colors, seen, matched, ch):  # type: ignore[no-untyped-def]
    """Gain and offset that bring the model's colours nearest to the image's."""
    n = 0.0
    sm = ss = smm = sms = 0.0
    for i in range(len(colors)):
        if matched[i]:
            m, s = colors[i, ch], seen[i, ch]
            n += 1.0
            sm += m
            ss += s
            smm += m * m
            sms += m * s
    if n < 1.0:
        return 1.0, 0.0
    variance = smm / n - (sm / n) ** 2
    covariance = sms / n - sm / n * ss / n
    # towards 1 where the channel hardly varies
    gain = (covariance + GAIN_VARIANCE) / (variance + GAIN_VARIANCE)
    gain = min(max(gain, GAIN_LIMITS[0]), GAIN_LIMITS[1])
    return gain, ss / n - gain * sm / n


@njit(cache=True, fastmath=True, inline="always")
def _bilinear(image, u, v, ch):  # type: ignore[no-untyped-def]
    height, width = image.shape[:2]
    x, y = min(max(int(u), 0), width - 2), min(max(int(v), 0), height - 2)
    a, b = u - x, v - y
    return (1 - b) * ((1 - a) * image[y, x, ch] + a * image[y, x + 1, ch]) + b * (
        (1 - a) * image[y + 1, x, ch] + a * image[y + 1, x + 1, ch]
    )
