"""Shading of the room, taken out of the colours of a scan.

The logarithm of the brightness is fitted by a linear function of the surface normal (the first
spherical harmonics, Ramamoorthi and Hanrahan, SIGGRAPH 2001), robustly: prints are outliers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROUNDS = 10
SPREAD = 0.15  # of log brightness beyond which a point counts less
PRIOR = 0.02  # against a direction that the normals hardly vary in
STRONGEST = 0.9  # log of the largest change: 2.5 times


def without_shading(
    colors: NDArray[np.float32], normals: Array, weights: Array
) -> NDArray[np.float32]:
    """Return colours as if every part faced the light as the best lit one does.

    Args:
        colors: (V, 3) RGB, 0 to 255.
        normals: (V, 3) unit.
        weights: (V,) of each vertex in the fit, its area; 0 for colours that were not seen.
    """
    brightness = np.log(np.clip(colors.astype(np.float64).mean(1), 4, 255))
    system = np.column_stack([np.ones(len(normals)), normals])
    prior = PRIOR * float(weights.sum()) * np.diag([0.0, 1.0, 1.0, 1.0])
    fitted, trust = np.zeros(4), weights
    for _ in range(ROUNDS):
        weighted = system * trust[:, None]
        fitted = np.linalg.solve(
            weighted.T @ system + prior + 1e-12 * np.eye(4), weighted.T @ brightness
        )
        residual = (brightness - system @ fitted) / SPREAD
        trust = weights / (1 + residual**2)  # Cauchy
    light = fitted[1:]
    change = np.linalg.norm(light) - normals @ light
    factor = np.exp(np.clip(change, 0, STRONGEST))
    return np.clip(colors * factor[:, None], 0, 255).astype(np.float32)
