"""Shading of the room, taken out of the colours of a scan.

The room is one light and what all sides get alike: the brightness is the paint times
``1 + ratio · max(0, (normal · light + wide) / (1 + wide))``, a lamp (wide 0) or a bright wall (1).
Light and ratio are those that leave the fewest different brightnesses, by the entropy of their
histogram (Finlayson et al., ECCV 2004): a thing has few paints.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DIRECTIONS = 300  # over the sphere, about 12 degrees apart
WIDTHS = (0.0, 1.0)
RATIOS = np.linspace(0.15, 2.4, 16)  # of the light to what all sides get
SAMPLES = 4000
BIN, BINS = 0.05, 128  # of log brightness
PRIOR = 0.03  # entropy that a light must save, times the log of the change it explains


def without_shading(
    colors: NDArray[np.float32], normals: Array, weights: Array
) -> NDArray[np.float32]:
    """Return colours as if every part faced the light as the best lit one does.

    Args:
        colors: (V, 3) RGB, 0 to 255.
        normals: (V, 3) unit.
        weights: (V,) of each vertex in the fit, its area; 0 for colours that were not seen.
    """
    total = float(weights.sum())
    if total <= 0:
        return colors
    chosen = np.random.default_rng(0).choice(len(colors), SAMPLES, p=weights / total)
    brightness = np.log(np.clip(colors[chosen].astype(np.float64).mean(1), 4, 255))
    light = _brightest(brightness, normals[chosen])
    shade = np.log1p(light.ratio * light.facing(normals))
    best = float(shade[chosen].max())
    factor = np.exp(np.maximum(best - shade, 0))
    return np.clip(colors * factor[:, None], 0, 255).astype(np.float32)


class Light(NamedTuple):
    """A light: direction (3,) towards it, width and ratio, 0 for none."""

    direction: Array
    wide: float
    ratio: float

    def facing(self, normals: Array) -> Array:
        """Return how much (N,) of the light surfaces with these normals (N, 3) get, 0 to 1."""
        return np.maximum((normals @ self.direction + self.wide) / (1 + self.wide), 0)


def _brightest(brightness: Array, normals: Array) -> Light:
    """Return the light that explains most.

    Args:
        brightness: (N,) logarithms.
        normals: (N, 3) unit.
    """
    best, lowest = Light(np.array([0.0, 0.0, 1.0]), 0.0, 0.0), _entropy(brightness)
    for direction, wide in itertools.product(_directions(), WIDTHS):
        facing = Light(direction, wide, 1.0).facing(normals)
        for ratio in RATIOS:
            shade = np.log1p(ratio * facing)
            cost = _entropy(brightness - shade) + PRIOR * float(np.log1p(ratio))
            if cost < lowest:
                best, lowest = Light(direction, wide, float(ratio)), cost
    return best


def _directions() -> Array:
    """Return unit vectors (D, 3) on a spiral around the sphere."""
    z = 1 - (2 * np.arange(DIRECTIONS) + 1) / DIRECTIONS
    angle = np.pi * (1 + np.sqrt(5)) * np.arange(DIRECTIONS)
    around = np.sqrt(1 - z * z)
    return np.stack([around * np.cos(angle), around * np.sin(angle), z], axis=1)


def _entropy(values: Array) -> float:
    """Return the entropy of a histogram; each value counts in the two bins next to it."""
    place = (values - values.mean()) / BIN + BINS / 2
    place = np.clip(place, 0, BINS - 2)
    low = place.astype(np.intp)
    part = place - low
    counts = np.bincount(low, 1 - part, BINS) + np.bincount(low + 1, part, BINS)
    share = counts[counts > 0] / len(values)
    return float(-(share * np.log(share)).sum())
