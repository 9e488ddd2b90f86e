"""From matching logits to a pose: assignment, hypotheses, weighted Procrustes, scores.

Poses map object to camera for row vectors: x_cam = x_obj Rᵀ + t, so (x_cam − t) R is its inverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sam6d_ros.models.steps import HostWork, Steps, run
from sam6d_ros.models.triples import MASS_EPS, align_triples, repeats_a_point, smallest

COARSE_WEIGHT_FLOOR = 0.5
SHARPEN = 1.5  # exponent of the sampling weights
FIXED_POINT = 2.0**40  # of the sums of sampling weights, each at most 1
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
    """Run :func:`procrustes_steps`."""
    return run(procrustes_steps(source, reference, weights, floor))


def procrustes_steps(
    source: Tensor, reference: Tensor, weights: Tensor | None = None, floor: float = 0.0
) -> Steps[tuple[Tensor, Tensor]]:
    """Return the rotations and translations that move source points onto the reference.

    Kabsch's algorithm. The weights sum to slightly below one (an epsilon in the divisor), which
    pulls both centroids towards the origin by some 1e-6; kept for equality.

    Args:
        source: (B, N, 3).
        reference: (B, N, 3).
        weights: (B, N), ones when left out; those below ``floor`` count as zero.
        floor: see ``weights``.

    Yields:
        Work of the host.

    Returns:
        (B, 3, 3) rotations and (B, 3) translations.
    """
    if weights is None:
        weights = torch.ones_like(source[..., 0])
    weights = torch.where(weights < floor, torch.zeros_like(weights), weights)
    weights = (weights / (weights.sum(-1, keepdim=True) + MASS_EPS))[..., None]
    centre_source = (source * weights).sum(-2, keepdim=True)
    centre_reference = (reference * weights).sum(-2, keepdim=True)
    spread = (source - centre_source).transpose(-1, -2) @ (weights * (reference - centre_reference))
    (rotation,) = yield HostWork(best_rotation, (spread,))
    moved = rotation @ centre_source.transpose(-1, -2)
    return rotation, (centre_reference.transpose(-1, -2) - moved)[..., 0]


def best_rotation(spread: Tensor) -> tuple[Tensor]:
    """Return the rotations (…, 3, 3) of largest trace for covariances (…, 3, 3) on the host.

    Always by LAPACK: a GPU's decomposition waits for its status all the same, cannot be captured in
    a graph, and chooses other vectors where a singular value is zero. It refuses a batch with one
    covariance that is not finite; such a one gets a rotation of nan.
    """
    finite = spread.isfinite().all(-1).all(-1)[..., None, None]
    u, _, vh = torch.linalg.svd(torch.where(finite, spread, 0.0))
    v, ut = vh.transpose(-1, -2), u.transpose(-1, -2)
    flip = torch.ones_like(v[..., 0, :])
    flip[..., 2] = torch.linalg.det(v @ ut).sign()  # no reflections
    return (torch.where(finite, (v * flip[..., None, :]) @ ut, torch.nan),)


def to_object(points: Tensor, rotation: Tensor, translation: Tensor) -> Tensor:
    """(…, N, 3) camera-frame points in the object frame."""
    return (points - translation[..., None, :]) @ rotation


def sampling_distribution(assignment: Assignment) -> Tensor:
    """Return the cumulated sampling weights (B, N·M) float32 of the matches, ending near one.

    Summed in fixed point: the sum of integers does not depend on the order, which differs between
    devices and, on CUDA, from run to run.
    """
    weights = (assignment.foreground() ** SHARPEN).flatten(1).double()
    total = (weights * FIXED_POINT).round_().long().cumsum(-1).double().div_(FIXED_POINT).float()
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
    """Return poses from consecutive triples of (B, 3·H) flat match indices.

    A triple may repeat a match: its pose is then not unique, but it fits (almost) exactly and so
    passes the residual test. The original keeps such triples; so does this function, with the
    pose of :func:`decompose_repeats`.
    """
    observed, model = _triples(matches, points_obs, points_obj)
    rotation, translation = align_triples(model, observed)
    residual = (to_object(observed, rotation, translation) - model).norm(dim=-1).mean(-1)
    return Hypotheses(
        *(t.unflatten(0, (len(matches), -1)) for t in (rotation, translation, residual))
    )


def decompose_repeats(
    kept: Hypotheses, numbers: Tensor, matches: Tensor, points_obs: Tensor, points_obj: Tensor
) -> Hypotheses:
    """Run :func:`decompose_repeats_steps`."""
    return run(decompose_repeats_steps(kept, numbers, matches, points_obs, points_obj))


def decompose_repeats_steps(
    kept: Hypotheses, numbers: Tensor, matches: Tensor, points_obs: Tensor, points_obj: Tensor
) -> Steps[Hypotheses]:
    """Give kept triples that repeat a point the rotation of the decomposition, as the original.

    Any rotation about their line fits as well. The choice decides their scores, and about one draw
    in ten is won by such a triple. The host computes it, so that every device takes the same.

    Yields:
        Work of the host.

    Returns:
        The hypotheses with these rotations.
    """
    at = (3 * numbers[..., None] + torch.arange(3, device=numbers.device)).flatten(1)
    triples = _triples(matches.gather(1, at), points_obs, points_obj)
    repeated, solved = yield HostWork(_solve_repeats, triples)
    repeated = repeated.unflatten(0, kept.residual.shape)[..., None]
    solved = solved.unflatten(0, kept.residual.shape)
    rotation = torch.where(repeated[..., None], solved[..., :3, :], kept.rotation)
    translation = torch.where(repeated, solved[..., 3, :], kept.translation)
    return Hypotheses(rotation, translation, kept.residual)


def _solve_repeats(observed: Tensor, model: Tensor) -> tuple[Tensor, Tensor]:
    """Return (M,) bool and (M, 4, 3) rotation and translation where a triple repeats a point."""
    repeated = repeats_a_point(observed) | repeats_a_point(model)
    pose = observed.new_zeros((len(observed), 4, 3))
    rotation, translation = procrustes(
        model[repeated], observed[repeated], floor=COARSE_WEIGHT_FLOOR
    )
    pose[repeated] = torch.cat([rotation, translation[:, None]], 1)
    return repeated, pose


def _triples(matches: Tensor, points_obs: Tensor, points_obj: Tensor) -> tuple[Tensor, Tensor]:
    """Return the observed and the object's points (B·H, 3, 3) of consecutive matches (B, 3·H)."""
    batch, columns = len(matches), points_obj.shape[1]
    row = (matches // columns).clamp_max(points_obs.shape[1] - 1)  # "nothing" → the last point
    column = matches % columns

    def triples(points: Tensor, index: Tensor) -> Tensor:
        chosen = points.expand(batch, -1, -1).gather(1, index[..., None].expand(-1, -1, 3))
        return chosen.reshape(-1, 3, 3)

    return triples(points_obs, row), triples(points_obj, column)


def keep_best(hypotheses: Hypotheses, count: int) -> tuple[Hypotheses, Tensor]:
    """The ``count`` hypotheses of smallest residual and their numbers (B, count)."""
    number = smallest(hypotheses.residual, count)
    residual = hypotheses.residual.gather(1, number)
    rotation = hypotheses.rotation.gather(1, number[..., None, None].expand(-1, -1, 3, 3))
    translation = hypotheses.translation.gather(1, number[..., None].expand(-1, -1, 3))
    return Hypotheses(rotation, translation, residual), number


def nearest_model_distance(points: Tensor, model: Tensor) -> Tensor:
    """Return the distances (B, N) of points to the nearest model point.

    min(‖a‖² − 2a·b + ‖b‖²) = ‖a‖² + min([a, 1]·[−2b, ‖b‖²]): the large array is written by one
    product and read once.
    """
    table = torch.cat([-2 * model, model.square().sum(-1, keepdim=True)], -1).transpose(-1, -2)
    nearest = (F.pad(points, (0, 1), value=1.0) @ table).amin(-1)
    return (nearest + points.square().sum(-1)).clamp_min_(0.0).sqrt_()


def score_hypotheses(
    hypotheses: Hypotheses, points: Tensor, foreground: Tensor, model: Tensor, chunk: int
) -> Tensor:
    """Return scores (B, H): foreground mass by the mean distance of matched points to the model.

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
    """Run :func:`solve_fine_steps`."""
    return run(solve_fine_steps(assignment, points, points_obj, model))


def solve_fine_steps(
    assignment: Assignment, points: Tensor, points_obj: Tensor, model: Tensor
) -> Steps[FinePose]:
    """Pose from soft matches of all points, and how many of them lie on the model."""
    matches = assignment.foreground()
    mass = matches.sum(2)
    targets = (matches / (mass[..., None] + TARGET_EPS)) @ points_obj
    rotation, translation = yield from procrustes_steps(targets, points, mass)
    distance = nearest_model_distance(to_object(points, rotation, translation), model)
    foreground = assignment.foreground_obs
    inliers = (foreground * (distance < INLIER_DISTANCE)).sum(-1)
    score = inliers / (foreground.sum(-1) + SUM_EPS) * foreground.mean(-1)
    return FinePose(rotation, translation, score, targets, mass)
