"""Greedy non-maximum suppression without a loop over boxes.

Written here because torchvision's compiled operator exists only for matching torch builds, and
waits for the device. In order of falling score, a box is kept if no kept box before it overlaps it
too much. This rule has one solution; repeating it for all boxes at once, from "all kept", reaches
it after as many rounds as the longest chain of overlaps has boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor

NMS_IOU = 0.25
ROUNDS = 12  # between two checks; 3 suffice for 1000 boxes of which 700 are near-duplicates
BLOCK = 256  # boxes compared with all others at once: 25 MB of 3072


def clashes(boxes: Tensor, iou: float) -> Tensor:
    """Return (N, N) float32: 1 where a box overlaps a later one by more than ``iou``, else 0.

    Args:
        boxes: (N, 4) x0, y0, x1, y1, best first.
        iou: threshold.
    """
    given = boxes.double()
    low, high = given[:, :2], given[:, 2:]
    area = (high - low).prod(-1)
    out = torch.empty((len(given), len(given)), dtype=torch.float32, device=boxes.device)
    for start in range(0, len(given), BLOCK):
        part = slice(start, start + BLOCK)
        size = torch.minimum(high[part, None], high) - torch.maximum(low[part, None], low)
        inner = size.clamp_min_(0).prod(-1)
        out[part] = inner > iou * (area[part, None] + area - inner)
    return out.triu_(1)


def repeat_rule(clash: Tensor, usable: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Apply the rule ``ROUNDS`` times.

    Args:
        clash: of :func:`clashes`.
        usable: (N,) float32, 0 for boxes that are out of the contest.
        kept: (N,) float32 to begin with.

    Returns:
        (N,) kept, and whether the last round changed nothing.
    """
    before = kept
    for _ in range(ROUNDS):
        before = kept
        kept = usable * ((kept @ clash) == 0)
    return kept, (kept == before).all()


def suppress(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Return the kept indices, best score first; waits for the device."""
    order = scores.argsort(descending=True, stable=True)
    clash = clashes(boxes[order], iou)
    usable = torch.ones(len(order), device=boxes.device)
    kept, settled = repeat_rule(clash, usable, usable)
    while not settled:
        kept, settled = repeat_rule(clash, usable, kept)
    return order[kept > 0]


def suppress_per_object(boxes: Tensor, scores: Tensor, objects: Tensor) -> Tensor:
    """Return the indices kept after suppression within each object, grouped by object."""
    parts = []
    for number in objects.unique():
        index = torch.nonzero(objects == number)[:, 0]
        parts.append(index[suppress(boxes[index], scores[index], NMS_IOU)])
    return torch.cat(parts) if parts else objects.new_zeros(0)
