"""Scores of the Instance Segmentation Model: semantic, appearance, geometric (SAM-6D § 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BEST_VIEWS = 5  # template similarities that are averaged
SEMANTIC_THRESHOLD = 0.2
VISIBLE_SIMILARITY = 0.5
COUNT_EPS = 1e-6
NMS_IOU = 0.25
MIN_BOX_SHARE = 0.05**2  # of the image; the benchmark path only
MIN_MASK_SHARE = 3e-4


@dataclass(frozen=True)
class SemanticMatch:
    """Proposals that look like one of the objects.

    Attributes:
        similarity: (P, O, V) cosine of every proposal to every template, in [0, 1].
        selected: (S,) proposals that pass the threshold.
        object_index: (S,) best object of each.
        score: (S,) its semantic score.
        template: (S,) the template of that object that is most similar.
    """

    similarity: Tensor
    selected: Tensor
    object_index: Tensor
    score: Tensor
    template: Tensor


def semantic_match(
    query: Tensor,
    reference: Tensor,
    threshold: float = SEMANTIC_THRESHOLD,
    allowed: Tensor | None = None,
) -> SemanticMatch:
    """Compare class descriptors (P, C) of proposals with (O, V, C) of templates.

    Args:
        allowed: (P, O) bool, which objects a proposal may show; any of them by default.
    """
    query, reference = F.normalize(query, dim=-1), F.normalize(reference, dim=-1)
    similarity = torch.einsum("pc,ovc->pov", query, reference).clamp(0.0, 1.0)
    views = min(BEST_VIEWS, similarity.shape[-1])
    scores = similarity.topk(views, dim=-1).values.mean(-1)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, 0.0)
    score, best = scores.max(-1)
    selected = torch.nonzero(score > threshold)[:, 0]
    chosen = best[selected]
    template = similarity[selected, chosen].argmax(-1)
    return SemanticMatch(similarity, selected, chosen, score[selected], template)


def appearance_scores(query: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """How well the visible patches match, and how much of the template is seen.

    Args:
        query: (S, N, C) unit patch descriptors of proposals, zero rows where masked.
        reference: (S, N, C) the same of the best template of each.

    Returns:
        appearance (S,) in [0, 1] and visible ratio (S,).
    """
    product = query @ reference.transpose(1, 2)
    patches = (query.sum(-1) != 0).sum(-1)
    # The maximum runs over masked template patches too; they contribute zero.
    appearance = (product.amax(2).sum(-1) / (patches + COUNT_EPS)).clamp(0.0, 1.0)
    seen = product.amax(1)
    visible = (seen > VISIBLE_SIMILARITY).sum(-1) / ((seen != 0).sum(-1) + COUNT_EPS)
    return appearance, visible


def mean_positions(masks: Tensor, depth: Tensor, camera: Tensor) -> Tensor:
    """Mean (S, 3) float64 position in metres of the measured pixels of each mask.

    Args:
        masks: (S, H, W) bool.
        depth: (H, W) metres, 0 = no measurement.
        camera: (3, 3) intrinsics in pixels.
    """
    z = depth.double()
    height, width = z.shape
    v = torch.arange(height, dtype=torch.float64, device=z.device)[:, None]
    u = torch.arange(width, dtype=torch.float64, device=z.device)
    x = (u - camera[0, 2]) * z / camera[0, 0]
    y = (v - camera[1, 2]) * z / camera[1, 1]
    sums = masks.flatten(1).double() @ torch.stack([x, y, z, (z > 0).double()], -1).flatten(0, 1)
    return sums[:, :3] / (sums[:, 3:] + 1e-8)


def project_to_pixels(
    points: Tensor,
    rotations: Tensor,
    translations: Tensor,
    camera: Tensor,
    size_hw: tuple[int, int],
) -> Tensor:
    """(S, K, 2) int64 pixels (u, v) of posed points, truncated and clamped into the image."""
    posed = points @ rotations.transpose(-1, -2) + translations[:, None]
    image = posed @ camera.transpose(-1, -2)
    # truncation toward zero, not rounding: what casting to int does in the original
    pixels = torch.nan_to_num(image[..., :2] / image[..., 2:]).clamp(-1e9, 1e9).long()
    limit = torch.tensor([size_hw[1] - 1, size_hw[0] - 1], device=pixels.device)
    return torch.minimum(pixels.clamp_min(0), limit)


def box_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU of (…, 4) boxes x0, y0, x1, y1 and whether they overlap; no +1 for inclusive ends."""
    size = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).float()
    overlap = (size > 0).all(-1)
    inner = torch.where(overlap, size.prod(-1), torch.zeros_like(size[..., 0]))
    union = _area(a) + _area(b) - inner
    return torch.where(overlap, inner / union.clamp_min(1e-12), torch.zeros_like(inner)), overlap


def _area(box: Tensor) -> Tensor:
    return ((box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])).float()


def geometric_scores(pixels: Tensor, boxes: Tensor, legacy: bool) -> Tensor:
    """IoU (S,) of the box of (S, K, 2) projected pixels with the proposal's (S, 4) box.

    In the original one proposal without overlap sets the score of *all* to zero (an early return
    of 0 for the batch); ``legacy`` reproduces that.
    """
    projected = torch.cat([pixels.amin(1), pixels.amax(1)], dim=-1)
    iou, overlap = box_iou(projected, boxes)
    if legacy and not bool(overlap.all()):
        return torch.zeros_like(iou)
    return iou


def final_scores(
    semantic: Tensor, appearance: Tensor, geometric: Tensor, visible: Tensor
) -> Tensor:
    """(S,) mean of the three, the geometric one weighted by the visible ratio."""
    return (semantic + appearance + geometric * visible) / (2 + visible)


def large_enough(boxes: Tensor, masks: Tensor) -> Tensor:
    """(P,) bool: box and mask cover enough of the image (benchmark path of the original)."""
    pixels = masks.shape[-1] * masks.shape[-2]
    box_share = _area(boxes) / pixels
    mask_share = masks.flatten(1).sum(-1) / pixels
    return (box_share > MIN_BOX_SHARE) & (mask_share > MIN_MASK_SHARE)


def suppress(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Greedy non-maximum suppression: kept indices, best score first.

    Written here because torchvision's compiled operator exists only for matching torch builds.
    """
    order = scores.argsort(descending=True, stable=True)
    ordered = boxes[order].double()
    size = (
        torch.minimum(ordered[:, None, 2:], ordered[None, :, 2:])
        - torch.maximum(ordered[:, None, :2], ordered[None, :, :2])
    ).clamp_min(0)
    area = (ordered[:, 2] - ordered[:, 0]) * (ordered[:, 3] - ordered[:, 1])
    inner = size.prod(-1)
    union = area[:, None] + area[None] - inner
    clash = (inner > iou * union).cpu().triu(1)
    alive = torch.ones(len(order), dtype=torch.bool)
    for number in range(len(order)):
        if alive[number]:
            alive &= ~clash[number]
    return order[alive.to(order.device)]


def suppress_per_object(boxes: Tensor, scores: Tensor, objects: Tensor) -> Tensor:
    """Kept indices after suppression within each object, grouped by object."""
    parts = []
    for number in objects.unique():
        index = torch.nonzero(objects == number)[:, 0]
        parts.append(index[suppress(boxes[index], scores[index], NMS_IOU)])
    return torch.cat(parts) if parts else objects.new_zeros(0)
