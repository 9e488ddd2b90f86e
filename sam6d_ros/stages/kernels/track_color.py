"""Compiled loops of tracking that compare colours: surface points of known colour."""

from __future__ import annotations

from numba import njit

from sam6d_ros.stages.kernels.common import (
    accumulate,
    njit_leaf,
    pixel,
    placed,
    set_jacobian,
)

COLOR_SIGMA = (5.0, 4.0, 4.0)  # L*a*b* units: noise, and light that changes with the view
COLOR_CUT = 3.0  # sigmas beyond which a colour is ignored
GAIN_VARIANCE = 40.0  # (L*a*b* units)²: a channel that varies less has no gain to estimate
GAIN_LIMITS = (0.4, 1.6)


@njit_leaf
def place_samples(maps, points, pose, gate, at, matched):  # type: ignore[no-untyped-def]
    """Write the camera-frame positions of colour samples, and mark those whose depth agrees.

    Beside an edge the colour may be that of the other side: it is blurred, and rarely registered
    to the pixel. It would stick to the occluder and drag the object along.

    Args:
        maps: TrackMaps of the frame.
        points: (K, 3) float32 metres, object frame.
        pose: MovingPose.
        gate: tolerance of the depth, metres.
        at: (K, 3) float64 metres, camera frame, written.
        matched: (K,) bool, written.
    """
    rot, trans, _ = pose
    height, width = maps.nearest.shape
    fx, fy, cx, cy = maps.camera
    for i in range(len(points)):
        matched[i] = False
        for j in range(3):
            at[i, j] = trans[j]
            for k in range(3):
                at[i, j] += rot[j, k] * points[i, k]
        z = at[i, 2]
        if z <= 0:
            continue
        u, v = pixel(fx * at[i, 0] / z + cx), pixel(fy * at[i, 1] / z + cy)
        if u < 0 or v < 0 or u >= width or v >= height:
            continue
        near, far = maps.nearest[int(v), int(u)], maps.farthest[int(v), int(u)]
        matched[i] = far > 0 and abs(near - z) < gate and abs(far - z) < gate


@njit_leaf
def color_terms(maps, samples, pose, weight, equations):  # type: ignore[no-untyped-def]
    """Add the differences of colours to the normal equations, each channel up to gain and offset.

    Args:
        maps: TrackMaps of the frame.
        samples: PlacedSamples; ``matched`` and ``seen`` are changed.
        pose: MovingPose.
        weight: of one colour.
        equations: Equations, changed.
    """
    lab = maps.lab
    at, matched, colors, seen = samples
    rot, trans, centre = pose
    height, width = lab.shape[:2]
    fx, fy, cx, cy = maps.camera
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
    c0, c1, c2 = placed(rot, trans, centre[0], centre[1], centre[2])
    jac = equations.row
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
            rx, ry, rz = x - c0, y - c1, z - c2
            set_jacobian(jac, mx, my, mz, rx, ry, rz)
            w = scale * (1.0 - (e / cut) ** 2) ** 2
            accumulate(jac, e, w, equations.information, equations.vector)


@njit_leaf
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
