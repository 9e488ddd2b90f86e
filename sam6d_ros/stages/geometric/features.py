"""Features of a pose: the numbers that the judge turns into a probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.kernels import evidence as columns

Array = NDArray[np.float64]

FEATURES = (
    "fit",  # share of the visible, measured silhouette where depth and wide normals agree
    "fit_fine",  # the same with the better of wide and fine normals
    "fit_tight",  # the same within the tolerance of the sensor alone
    "visible",  # share of the silhouette that is in the image and that nothing hides
    "rim",  # nearness of edges of the silhouette's direction, mean over the silhouette
    "rim_contrast",  # rim less the same read beside the silhouette
    "crease",  # nearness of edges at the creases of the rendering; 0.5 without creases
    "inner",  # share of the smooth interior where the scene makes a step in depth
    "see_through",  # share of the visible, measured silhouette where the scene lies behind
    "far_behind",  # the same beyond twice the loose tolerance
    "covered",  # share of the silhouette that something close in front hides
    "unmeasured",  # share of the silhouette without depth
    "residual",  # mean depth residual of what agrees, in tolerances
    "normal_spread",  # 1 - length of the mean normal of what agrees: 0 for one plane
    "color",  # colour similarity where the depth agrees; NEUTRAL_COLOR for a mesh without colours
    "texture",  # correlation of the colour patterns, 0.5 without a pattern
    "model_texture",  # variance of the model's colours v / (v + PATTERN_VARIANCE)
    "log_pixels",  # natural logarithm of the silhouette's pixels
    "size",  # the same less that of the object's median view at this range
    "log_quality",  # natural logarithm of the order inside the search
    "registration",  # of the frame: agreement of steps in depth with edges of the image
)

PATTERN_VARIANCE = 200.0  # (L*a*b* units)²: printed cartons have 350 to 1900, plain things below 60
NEUTRAL_COLOR = 0.7  # of a mesh without colours: what right poses of coloured ones reach
LEAST_QUALITY = 1e-6  # of a pose that the scene does not show
PART_FLOOR = 0.2  # the least factor of rim, colour and texture in the quality


@dataclass(frozen=True)
class Features:
    """Features of N poses.

    Attributes:
        values: (N, len(FEATURES)) float64, columns in the order of FEATURES.
    """

    values: Array

    def __getitem__(self, name: str) -> Array:
        """Return one feature (N,)."""
        return self.values[:, FEATURES.index(name)]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def quality(self) -> Array:
        """(N,) in [0, 1]: order of the poses of one object while it is searched."""
        return np.exp(self["log_quality"])


def quality_of(features: Features) -> Array:
    """Return the order (N,) of poses inside the search.

    Args:
        features: of N poses.
    """
    return features.quality


def _log_quality(by_name: dict[str, Array]) -> Array:
    looks = _part(by_name["rim"]) * _part(by_name["color"]) * _part(by_name["texture"])
    product = by_name["fit_fine"] * np.sqrt(by_name["visible"]) * looks
    log: Array = 0.5 * np.log(np.maximum(product, LEAST_QUALITY))
    return log


def _part(value: Array) -> Array:
    return PART_FLOOR + (1 - PART_FLOOR) * value


def features_of(sums: Array, stride: Array, median_pixels: Array, registration: float) -> Features:
    """Turn sums (N, COLUMNS) of ``kernels.evidence`` into features.

    Args:
        stride: (N,) pixels between the cells of each pose.
        median_pixels: (N,) pixels of the object's median view at the range of each pose.
        registration: agreement of steps in depth with edges of the image, of the frame.
        sums: (N, COLUMNS) of ``kernels.evidence``.

    Returns:
        Features of the N poses.
    """
    cells = np.maximum(sums[:, columns.CELLS], 1)
    shown = np.maximum(sums[:, columns.MEASURED], 0.1 * cells)
    near = np.maximum(sums[:, columns.NEAR], 1)
    rim_n = np.maximum(sums[:, columns.RIM_N], 1)
    rim = sums[:, columns.RIM] / rim_n
    mean_normal = sums[:, [columns.NX, columns.NY, columns.NZ]] / near[:, None]
    color, texture, model_texture = _appearance(sums)
    pixels = np.log(np.maximum(cells * stride**2, 1))
    by_name = {
        "fit": sums[:, columns.FIT] / shown,
        "fit_fine": sums[:, columns.FIT_FINE] / shown,
        "fit_tight": np.minimum(sums[:, columns.FIT_TIGHT] / shown, 1),
        "visible": np.clip(1 - (sums[:, columns.HIDDEN] + sums[:, columns.OUTSIDE]) / cells, 0, 1),
        "rim": rim,
        "rim_contrast": rim - sums[:, columns.RIM_ASIDE] / rim_n,
        "crease": _share_or(sums[:, columns.CREASE], sums[:, columns.CREASE_N], 0.5),
        "inner": _share_or(sums[:, columns.INNER], sums[:, columns.INNER_N], 0.0),
        "see_through": sums[:, columns.BEHIND] / shown,
        "far_behind": sums[:, columns.FAR_BEHIND] / shown,
        "covered": sums[:, columns.COVERED] / cells,
        "unmeasured": sums[:, columns.UNMEASURED] / cells,
        "residual": _share_or(sums[:, columns.RESIDUAL], sums[:, columns.NEAR], 1.0),
        "normal_spread": 1 - np.linalg.norm(mean_normal, axis=1),
        "color": color,
        "texture": texture,
        "model_texture": model_texture,
        "log_pixels": pixels,
        "size": pixels - np.log(np.maximum(median_pixels, 1)),
    }
    by_name["registration"] = np.full(len(sums), registration)
    by_name["log_quality"] = _log_quality(by_name)
    return Features(np.stack([by_name[name] for name in FEATURES], axis=1))


def _share_or(part: Array, whole: Array, unknown: float) -> Array:
    return np.where(whole > 0, part / np.maximum(whole, 1), unknown)


def _appearance(sums: Array) -> tuple[Array, Array, Array]:
    """Return colour similarity, texture correlation, and how much pattern the model shows."""
    count = np.maximum(sums[:, columns.TEX_N], 1)
    parts = sums[:, columns.TEX :].reshape(-1, 3, 5) / count[:, None, None]
    mean_m, mean_s, square_m, square_s, product = np.moveaxis(parts, 2, 0)
    weight = np.array([0.5, 1.0, 1.0])  # lightness depends on the lamp
    covariance = ((product - mean_m * mean_s) * weight).sum(1)
    variance_m = ((square_m - mean_m**2) * weight).sum(1)
    variance_s = ((square_s - mean_s**2) * weight).sum(1)
    correlation = covariance / np.sqrt((variance_m + 20) * (variance_s + 20))
    # A plain object correlates with shadows at best: the less pattern, the less it may say.
    reliability = variance_m / (variance_m + PATTERN_VARIANCE)
    color = np.where(sums[:, columns.TEX_N] > 0, sums[:, columns.COLOR] / count, NEUTRAL_COLOR)
    return color, np.clip(0.5 + 0.5 * correlation * reliability, 0, 1), reliability
