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
MIN_BOX_SHARE = 0.05**2  # of the image; the benchmark path only
MIN_MASK_SHARE = 3e-4


@dataclass(frozen=True)
class SemanticMatch:
    """Best object of each of P proposals.

    Attributes:
        similarity: (P, O, V) cosine of every proposal to every template, in [0, 1].
        object_index: (P,) best object.
        score: (P,) its semantic score; that object is meant above ``SEMANTIC_THRESHOLD``.
        template: (P,) the template of that object that is most similar.
    """

    similarity: Tensor
    object_index: Tensor
    score: Tensor
    template: Tensor

    def at(self, selected: Tensor) -> SemanticMatch:
        """Return the match of some of the proposals."""
        parts = (self.similarity, self.object_index, self.score, self.template)
        return SemanticMatch(*(part[selected] for part in parts))


def semantic_match(
    query: Tensor, reference: Tensor, allowed: Tensor | None = None
) -> SemanticMatch:
    """Compare class descriptors (P, C) of proposals with (O, V, C) of templates.

    Args:
        allowed: (P, O) bool, which objects a proposal may show; any of them by default.
        query: (P, C) class descriptors of proposals.
        reference: (O, V, C) class descriptors of templates.

    Returns:
        Best object, score and template of each proposal.
    """
    query, reference = F.normalize(query, dim=-1), F.normalize(reference, dim=-1)
    similarity = torch.einsum("pc,ovc->pov", query, reference).clamp(0.0, 1.0)
    views = min(BEST_VIEWS, similarity.shape[-1])
    scores = similarity.topk(views, dim=-1).values.mean(-1)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, 0.0)
    score, best = scores.max(-1)
    of_best = best[:, None, None].expand(-1, 1, similarity.shape[-1])
    template = similarity.gather(1, of_best)[:, 0].argmax(-1)
    return SemanticMatch(similarity, best, score, template)


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
    """Return the mean (S, 3) float64 position in metres of the measured pixels of each mask.

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
    u, v = pixels.unbind(-1)
    return torch.stack([u.clamp(0, size_hw[1] - 1), v.clamp(0, size_hw[0] - 1)], dim=-1)


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
    """Return the IoU (S,) of the box of (S, K, 2) projected pixels with the proposal's (S, 4) box.

    In the original one proposal without overlap sets the score of *all* to zero (an early return
    of 0 for the batch); ``legacy`` reproduces that.
    """
    projected = torch.cat([pixels.amin(1), pixels.amax(1)], dim=-1)
    iou, overlap = box_iou(projected, boxes)
    return iou * overlap.all() if legacy else iou


def final_scores(
    semantic: Tensor, appearance: Tensor, geometric: Tensor, visible: Tensor
) -> Tensor:
    """(S,) mean of the three, the geometric one weighted by the visible ratio."""
    return (semantic + appearance + geometric * visible) / (2 + visible)


def large_enough(boxes: Tensor, mask_pixels: Tensor, pixels: int) -> Tensor:
    """Return whether box and mask cover enough of the image, (P,) bool (as the original's
    benchmark).

    Args:
        boxes: (P, 4).
        mask_pixels: (P,) pixels of each mask.
        pixels: of the image.
    """
    box_share = _area(boxes) / pixels
    mask_share = mask_pixels / pixels
    return (box_share > MIN_BOX_SHARE) & (mask_share > MIN_MASK_SHARE)
