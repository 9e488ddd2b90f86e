"""Transfer function of sRGB (IEC 61966-2-1:1999)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def linear_from_srgb(srgb: NDArray) -> NDArray[np.float64]:
    """Return linear intensities of sRGB values, both 0 to 1.

    Args:
        srgb: (...) in [0, 1].
    """
    values = np.asarray(srgb, np.float64)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: NDArray) -> NDArray[np.float64]:
    """Return sRGB values of linear intensities, both 0 to 1.

    Args:
        linear: (...) in [0, 1].
    """
    values = np.asarray(linear, np.float64)
    power = 1.055 * np.maximum(values, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(values <= 0.0031308, values * 12.92, power)
