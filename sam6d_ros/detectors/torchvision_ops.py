"""Operators `torchvision::nms` and `torchvision::roi_align` in plain torch.

A detector of torchvision needs them, scripted or not, and torchvision's own library is built for
one variant of torch: beside a torch of another variant it cannot be loaded. This file imports
nothing of the package: the Triton backend carries a copy.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    # names only: torchvision 0.28 looks the first up, files written by 0.29 refer to the second
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor",
)
ROIS_AT_ONCE = 64  # bounds the memory of the dense weights
_KEEP: list[Any] = []  # a library is unregistered with its object


def has_operators() -> bool:
    """Whether `torchvision::nms` can be called in this process."""
    try:
        return bool(torch.ops.torchvision.nms)
    except (AttributeError, RuntimeError):
        return False


def provide_operators() -> None:
    """Make the operators callable: torchvision's own where it works, else these."""
    if has_operators():
        return
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        _forget_torchvision()
    if not has_operators():
        _define()


def torchvision_detection() -> Any:
    """Return `torchvision.models.detection`, usable with these operators.

    Raises:
        ImportError: torchvision is not installed.
    """
    provide_operators()
    import torchvision.models.detection

    if _KEEP:
        for name, module in list(sys.modules.items()):
            if name.startswith("torchvision.") and hasattr(module, "_has_ops"):
                vars(module)["_has_ops"] = _true  # else a path that compiles C++ is taken
    return torchvision.models.detection


def _true() -> bool:
    return True


def _forget_torchvision() -> None:
    """Drop what a failed import left, so that the next one starts anew."""
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]


def _define() -> None:
    library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    library.impl("nms", nms, "CPU")
    library.impl("roi_align", roi_align, "CPU")
    _KEEP.append(library)


def nms(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Return the indices (int64, best first) of the boxes (N, 4) that suppression keeps."""
    order = scores.argsort(descending=True, stable=True)
    boxes = dets[order]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for place in range(len(boxes)):
        if not alive[place]:
            continue
        rest = boxes[place + 1 :]
        low = torch.maximum(boxes[place, :2], rest[:, :2])
        high = torch.minimum(boxes[place, 2:], rest[:, 2:])
        common = (high - low).clamp(min=0).prod(dim=1)
        overlap = common / (area[place] + area[place + 1 :] - common)
        alive[place + 1 :] &= ~(overlap > iou_threshold)
    return order[alive]


def roi_align(
    input: torch.Tensor,  # the name of the schema
    rois: torch.Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> torch.Tensor:
    """Return features (K, C, pooled_height, pooled_width) of regions (He et al., 2017).

    Args:
        input: (B, C, H, W) features.
        rois: (K, 5) batch place, left, top, right, bottom in image pixels.
        spatial_scale: feature pixels per image pixel.
        pooled_height: rows of the result.
        pooled_width: columns of the result.
        sampling_ratio: points per bin and axis, 1 or more.
        aligned: whether coordinates are shifted by half a pixel.

    Raises:
        ValueError: ``sampling_ratio`` is below 1.
    """
    if sampling_ratio <= 0:
        raise ValueError(f"sampling_ratio is {sampling_ratio}; expected 1 or more")
    offset = 0.5 if aligned else 0.0
    edges = rois[:, 1:] * spatial_scale - offset
    sizes = edges[:, 2:] - edges[:, :2]
    if not aligned:
        sizes = sizes.clamp(min=1.0)
    result = input.new_zeros((len(rois), input.shape[1], pooled_height, pooled_width))
    for start in range(0, len(rois), ROIS_AT_ONCE):
        part = slice(start, start + ROIS_AT_ONCE)
        bins, extent = (pooled_width, pooled_height), (input.shape[3], input.shape[2])
        cols, rows = (
            _weights(edges[part, axis], sizes[part, axis], bins[axis], sampling_ratio, extent[axis])
            for axis in (0, 1)
        )
        for image in rois[part, 0].unique():
            mine = torch.nonzero(rois[part, 0] == image)[:, 0]
            wide = torch.einsum("chw,kqw->kchq", input[int(image)], cols[mine])
            result[start + mine] = torch.einsum("kchq,kph->kcpq", wide, rows[mine])
    return result


def _weights(
    begin: torch.Tensor, length: torch.Tensor, bins: int, points: int, size: int
) -> torch.Tensor:
    """Return bilinear weights (K, bins, size) of the mean of `points` samples per bin."""
    steps = (torch.arange(bins * points, dtype=begin.dtype) + 0.5) / points
    at = begin[:, None] + steps[None] * (length / bins)[:, None]
    inside = (at >= -1.0) & (at <= size)
    at = at.clamp(min=0.0, max=float(size - 1))
    low = at.floor().long().clamp(max=size - 1)
    high = (low + 1).clamp(max=size - 1)
    share = at - low
    weights = begin.new_zeros((len(begin), bins * points, size))
    weights.scatter_add_(2, low[..., None], ((1 - share) * inside)[..., None])
    weights.scatter_add_(2, high[..., None], (share * inside)[..., None])
    return weights.reshape(len(begin), bins, points, size).mean(dim=2)
