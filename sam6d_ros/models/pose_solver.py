"""From matching logits to a pose: assignment, hypotheses, weighted Procrustes, scores.

Poses map object to camera for row vectors: x_cam = x_obj Rᵀ + t, so (x_cam − t) R is its inverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sam6d_ros.models.geometric_embedding import pairwise_distance

MASS_EPS = 1e-5  # in the Procrustes weights
COARSE_WEIGHT_FLOOR = 0.5
SHARPEN = 1.5  # exponent of the sampling weights
SUM_EPS = 1e-8
TARGET_EPS = 1e-6
INLIER_DISTANCE = 0.15  # of the object's radius


@dataclass(frozen=True)
class Assignment:
    """Soft matches.

    Attributes:
        matrix: (B, 1 + N, 1 + M), index 0 = background.
        label_obs: (B, N) int64, best column of each observed point, 0 = background.
        label_obj: (B, M) int64, best row of each object point.
    """

    matrix: Tensor
    label_obs: Tensor
    label_obj: Tensor

    @property
    def foreground_obs(self) -> Tensor:
        """(B, N) float32: 1 where the observed point is matched."""
        return (self.label_obs > 0).float()

    def foreground(self) -> Tensor:
        """(B, N, M) matches between points that are both in the foreground."""
        both = self.foreground_obs[:, :, None] * (self.label_obj > 0).float()[:, None, :]
        return self.matrix[:, 1:, 1:] * both


def assign(logits: Tensor) -> Assignment:
    """Dual softmax of (B, 1 + N, 1 + M) logits; labels take background and all points."""
    matrix = logits.softmax(2) * logits.softmax(1)
    return Assignment(matrix, matrix[:, 1:].argmax(2), matrix[:, :, 1:].argmax(1))


def procrustes(
    source: Tensor, reference: Tensor, weights: Tensor | None = None, floor: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Rotations (B, 3, 3) and translations (B, 3) that move source points onto the reference.

    Kabsch's algorithm. The weights sum to slightly below one (an epsilon in the divisor), which
    pulls both centroids towards the origin by some 1e-6; kept for equality.

    Args:
        source: (B, N, 3).
        reference: (B, N, 3).
        weights: (B, N), ones when left out; those below ``floor`` count as zero.
        floor: see ``weights``.
    """
    if weights is None:
        weights = torch.ones_like(source[..., 0])
    weights = torch.where(weights < floor, torch.zeros_like(weights), weights)
    weights = (weights / (weights.sum(-1, keepdim=True) + MASS_EPS))[..., None]
    centre_source = (source * weights).sum(-2, keepdim=True)
    centre_reference = (reference * weights).sum(-2, keepdim=True)
    spread = (source - centre_source).transpose(-1, -2) @ (weights * (reference - centre_reference))
    u, _, vh = torch.linalg.svd(spread)
    v, ut = vh.transpose(-1, -2), u.transpose(-1, -2)
    flip = torch.ones_like(v[..., 0, :])
    flip[..., 2] = torch.linalg.det(v @ ut).sign()  # no reflections
    rotation = (v * flip[..., None, :]) @ ut
    moved = rotation @ centre_source.transpose(-1, -2)
    return rotation, (centre_reference.transpose(-1, -2) - moved)[..., 0]


def to_object(points: Tensor, rotation: Tensor, translation: Tensor) -> Tensor:
    """(…, N, 3) camera-frame points in the object frame."""
    return (points - translation[..., None, :]) @ rotation


def sampling_distribution(assignment: Assignment) -> Tensor:
    """Cumulated sampling weights (B, N·M) of the matches, row-major, ending near one."""
    weights = (assignment.foreground() ** SHARPEN).flatten(1)
    total = weights.cumsum(-1)
    return total / (total[:, -1:] + SUM_EPS)


def draw_matches(cumulated: Tensor, uniforms: Tensor) -> Tensor:
    """Flat match indices (B, K) for uniforms (B, K) in [0, 1); N·M when there is no foreground."""
    return torch.searchsorted(cumulated.contiguous(), uniforms.contiguous())


@dataclass(frozen=True)
class Hypotheses:
    """Candidate poses from three matches each.

    Attributes:
        rotation: (B, H, 3, 3).
        translation: (B, H, 3).
        residual: (B, H) mean distance of the three matches under the pose.
    """

    rotation: Tensor
    translation: Tensor
    residual: Tensor


def hypothesise(matches: Tensor, points_obs: Tensor, points_obj: Tensor) -> Hypotheses:
    """Poses from consecutive triples of (B, 3·H) flat match indices.

    A triple may repeat a match: its pose is then not unique, but it fits (almost) exactly and so
    outlives the residual test. The original lets such triples compete; so do we.
    """
    batch, columns = len(matches), points_obj.shape[1]
    row = (matches // columns).clamp_max(points_obs.shape[1] - 1)  # "nothing" → the last point
    column = matches % columns

    def triples(points: Tensor, index: Tensor) -> Tensor:
        chosen = points.expand(batch, -1, -1).gather(1, index[..., None].expand(-1, -1, 3))
        return chosen.reshape(-1, 3, 3)

    observed, model = triples(points_obs, row), triples(points_obj, column)
    rotation, translation = procrustes(model, observed, floor=COARSE_WEIGHT_FLOOR)
    residual = (to_object(observed, rotation, translation) - model).norm(dim=-1).mean(-1)
    return Hypotheses(
        rotation.unflatten(0, (batch, -1)),
        translation.unflatten(0, (batch, -1)),
        residual.unflatten(0, (batch, -1)),
    )


def keep_best(hypotheses: Hypotheses, count: int) -> tuple[Hypotheses, Tensor]:
    """The ``count`` hypotheses of smallest residual and their numbers (B, count)."""
    residual, number = hypotheses.residual.topk(count, dim=1, largest=False)
    rotation = hypotheses.rotation.gather(1, number[..., None, None].expand(-1, -1, 3, 3))
    translation = hypotheses.translation.gather(1, number[..., None].expand(-1, -1, 3))
    return Hypotheses(rotation, translation, residual), number


def nearest_model_distance(points: Tensor, model: Tensor) -> Tensor:
    """(…, N) distance of object-frame points to the nearest of (…, K, 3) model points."""
    # the root of the smallest square: one root per point instead of one per pair
    return pairwise_distance(points, model).amin(-1).sqrt()


def score_hypotheses(
    hypotheses: Hypotheses, points: Tensor, foreground: Tensor, model: Tensor, chunk: int
) -> Tensor:
    """(B, H) scores: foreground mass over the mean distance of matched points to the model.

    Args:
        hypotheses: H poses per item.
        points: (B, N, 3) sparse observed points.
        foreground: (B, N) 0 or 1.
        model: (B or 1, K, 3) model points.
        chunk: hypotheses handled at once, which bounds memory.
    """
    parts = []
    for start in range(0, hypotheses.residual.shape[1], chunk):
        part = slice(start, start + chunk)
        moved = to_object(
            points[:, None], hypotheses.rotation[:, part], hypotheses.translation[:, part]
        )
        flat = moved.flatten(1, 2)  # one large product instead of many small ones
        distance = nearest_model_distance(flat, model).unflatten(1, moved.shape[1:3])
        parts.append((distance * foreground[:, None]).sum(-1))
    return foreground.sum(-1, keepdim=True) / (torch.cat(parts, dim=1) + SUM_EPS)


@dataclass(frozen=True)
class FinePose:
    """Result of the dense stage, in units of the object's radius.

    Attributes:
        rotation: (B, 3, 3).
        translation: (B, 3).
        score: (B,) in [0, 1].
        targets: (B, N, 3) soft object point of each observed point.
        weights: (B, N) mass of its matches.
    """

    rotation: Tensor
    translation: Tensor
    score: Tensor
    targets: Tensor
    weights: Tensor


def solve_fine(
    assignment: Assignment, points: Tensor, points_obj: Tensor, model: Tensor
) -> FinePose:
    """Pose from soft matches of all points, and how many of them lie on the model."""
    matches = assignment.foreground()
    mass = matches.sum(2)
    targets = (matches / (mass[..., None] + TARGET_EPS)) @ points_obj
    rotation, translation = procrustes(targets, points, mass)
    distance = nearest_model_distance(to_object(points, rotation, translation), model)
    foreground = assignment.foreground_obs
    inliers = (foreground * (distance < INLIER_DISTANCE)).sum(-1)
    score = inliers / (foreground.sum(-1) + SUM_EPS) * foreground.mean(-1)
    return FinePose(rotation, translation, score, targets, mass)
