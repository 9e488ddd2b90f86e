"""Noise of depth cameras: an error that grows with the square of the range.

Three uses have three sizes. ``SENSOR`` is the random error of one measurement and weighs residuals
in covariances. ``COMPARISON`` and ``PLANE`` are bounds: they also cover registration, calibration
and smoothing errors of consumer cameras, and decide whether two surfaces agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from numpy.typing import NDArray

Depth = TypeVar("Depth", float, NDArray[Any])


@dataclass(frozen=True)
class QuadraticNoise:
    """Error of a depth z: ``base_m + per_m2 * (z - near_m)²``, metres.

    Attributes:
        base_m: error at ``near_m``, metres.
        per_m2: growth per square metre of range, 1/m.
        near_m: range of the smallest error, metres.
    """

    base_m: float
    per_m2: float
    near_m: float = 0.0

    def at(self, z: Depth) -> Depth:
        """Return the standard deviation of depth at z, metres.

        Args:
            z: distance along the optical axis, metres; any shape.
        """
        away = z - self.near_m if self.near_m else z
        return self.base_m + self.per_m2 * away * away


SENSOR = QuadraticNoise(0.0005, 0.0012)  # Kinect-like: Nguyen et al., 3DIMPVT 2012
COMPARISON = QuadraticNoise(0.004, 0.005)
PLANE = QuadraticNoise(0.005, 0.004)  # half thickness of a support plane
# Kinect v1, axial: Nguyen, Izadi and Lovell, 3DIMPVT 2012.
KINECT_AXIAL = QuadraticNoise(0.0012, 0.0019, near_m=0.4)
