"""Errors of CAD models against the things themselves.

A scanned model (printed goods) has rounded edges, waves, noise, a wrong size, blurred colours and
the light of the scan on them. A designed one (parts) fits up to tolerances of making. Published
scans deviate by 1 to 2 mm, soft packages by more: Calli et al., RA-M 2015 (YCB); Hodan et al.,
ECCV 2018 (BOP) corrected sizes of scans.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam6d_ros.evaluation.synthetic.patches import Solid

Rng = np.random.Generator
Array = NDArray[np.float64]
WAVES = 6
SCANNED = {"scale": 0.015, "axis": 0.007, "wave": 0.013, "noise_m": 0.0004}
DESIGNED = {"scale": 0.006, "axis": 0.003, "wave": 0.004, "noise_m": 0.0}
ROUNDED, NEIGHBOURS = 0.6, (8, 60)  # share of the scans; vertices that are averaged
LIGHT, CAST = 0.3, 0.06  # largest relative changes of colour


def with_errors(made: Solid, scanned: bool, rng: Rng) -> Solid:
    """Return the CAD model of a true mesh."""
    size = SCANNED if scanned else DESIGNED
    vertices, colors = np.asarray(made.vertices, np.float64), made.colors.astype(np.float64)
    middle = (vertices.min(0) + vertices.max(0)) / 2
    diameter = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    if scanned and rng.random() < ROUNDED:
        near = cKDTree(vertices).query(vertices, k=int(rng.integers(*NEIGHBOURS)))[1]
        vertices, colors = vertices[near].mean(1), colors[near].mean(1)
    height = size["wave"] * diameter * rng.uniform(0.2, 1)
    moved = vertices + height * waves(vertices, diameter, rng)
    if size["noise_m"]:
        moved += rng.uniform(0, size["noise_m"]) * noise(vertices, rng)
    factor = (1 + rng.uniform(-1, 1) * size["scale"]) * (1 + rng.uniform(-1, 1, 3) * size["axis"])
    moved = middle + factor * (moved - middle)
    return Solid(moved, made.faces, shaded(vertices, colors, rng))


def waves(vertices: Array, diameter: float, rng: Rng) -> Array:
    """Return (V, 3) displacements of about unit size that vary smoothly over an object."""
    out = np.zeros_like(vertices)
    for _ in range(WAVES):
        length = diameter * rng.uniform(0.25, 1.5)
        direction = rng.normal(size=3)
        phase = vertices @ (2 * np.pi / length * direction / np.linalg.norm(direction))
        out += np.sin(phase + rng.uniform(0, 2 * np.pi))[:, None] * rng.normal(size=3)
    scaled: Array = out * np.sqrt(2 / WAVES)
    return scaled


def noise(vertices: Array, rng: Rng) -> Array:
    """Return (V, 3) noise, equal for vertices at one place: seams stay closed."""
    _, place = np.unique(np.round(vertices, 6), axis=0, return_inverse=True)
    drawn: Array = rng.normal(size=(int(place.max()) + 1, 3))[place.ravel()]
    return drawn


def shaded(vertices: Array, colors: Array, rng: Rng) -> NDArray[np.uint8]:
    """Return the (V, 3) colours under a light from one side, with a cast and another contrast."""
    towards = rng.normal(size=3)
    offset = vertices - vertices.mean(0)
    side = offset @ towards / max(1e-9, np.abs(offset @ towards).max())
    gain = (1 + rng.uniform(0, LIGHT) * (0.5 * side - 0.2))[:, None]
    gain = gain * np.exp(rng.uniform(-CAST, CAST, 3))
    contrast = rng.uniform(0.85, 1.2)
    return np.clip(255 * (colors / 255) ** contrast * gain, 0, 255).astype(np.uint8)
