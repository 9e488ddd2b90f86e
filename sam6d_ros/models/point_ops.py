"""Point-cloud operators of the Pose Estimation Model.

The released weights were trained with CUDA operators whose index choices matter (PointNet++
operators, Qi et al. 2017); these functions choose the same indices. The ``plain`` forms are torch
for any device, of fixed shapes, so that nothing waits for the GPU; compiled loops do the same
without the intermediate arrays: ``point_ops_cpu`` on the CPU, ``point_ops_triton`` on CUDA.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor

from sam6d_ros.models import point_ops_cpu

_LOG = logging.getLogger(__name__)
# The CUDA kernel reduces with at most this many threads; the reduction decides ties.
MAX_LANES = 512
FAR = 1e10  # squared distance before any point is chosen


@lru_cache(maxsize=16)
def tie_order(count: int, device: torch.device | str = "cpu") -> Tensor:
    """Return indices (count,) int64 in the order in which the CUDA reduction prefers ties.

    Thread k mod T keeps its first maximum; the tree reduction over T threads then prefers the
    lower of two tied partners, which ranks threads by their bit-reversed number. Ties are common:
    template points share half-precision coordinates and draws repeat points.
    """
    bits = min(MAX_LANES, 1 << (count.bit_length() - 1)).bit_length() - 1
    index = torch.arange(count, device=device)
    lane = index % (1 << bits)
    reverse = torch.zeros_like(lane)
    for bit in range(bits):
        reverse |= ((lane >> bit) & 1) << (bits - 1 - bit)
    return torch.argsort(reverse * count + index)


def furthest_point_sampling(points: Tensor, count: int) -> Tensor:
    """Choose points one after the other, each furthest from those chosen before.

    Starts at point 0. Unlike the classic operator no point near the origin is skipped. When all
    points are used up, point 0 repeats.

    Args:
        points: (B, N, 3) float32.
        count: how many to choose; may exceed N.

    Returns:
        (B, count) int64 indices.
    """
    if points.device.type == "cpu":
        order = tie_order(points.shape[1]).numpy()
        found = point_ops_cpu.sample_furthest(points.detach().float().numpy(), order, count)
        return torch.from_numpy(found)
    kernels = cuda_kernels(points.device)
    if kernels is None:
        return plain_sampling(points, count)
    order = tie_order(points.shape[1], points.device)
    return kernels.sample_furthest(points, order, count)


def plain_sampling(points: Tensor, count: int) -> Tensor:
    """:func:`furthest_point_sampling` by torch operations alone."""
    order = tie_order(points.shape[1], points.device)
    # Candidates lie in preference order, so argmax (first of equals) resolves ties correctly.
    axes = points[:, order].transpose(1, 2).contiguous().unbind(1)
    nearest = torch.full_like(axes[0], FAR)
    squared, term = torch.empty_like(nearest), torch.empty_like(nearest)
    chosen = torch.empty((points.shape[0], count), dtype=torch.int64, device=points.device)
    last = chosen.new_zeros((points.shape[0], 1))
    for step in range(count):
        chosen[:, step : step + 1] = last
        # ((dx² + dy²) + dz²) with every operation rounded: a fused sum would break ties.
        for axis, coordinate in enumerate(axes):
            target = squared if axis == 0 else term
            torch.sub(coordinate, coordinate.gather(1, last), out=target)
            target.mul_(target)
            if axis:
                squared.add_(term)
        torch.minimum(nearest, squared, out=nearest)
        last = nearest.argmax(1, keepdim=True)
    return order[chosen]


def squared_distances(queries: Tensor, points: Tensor) -> Tensor:
    """(B, Q, N) float32 squared distances by coordinate differences: exact for near points."""
    out = (queries[:, :, None, 0] - points[:, None, :, 0]).square_()
    for axis in (1, 2):
        out += (queries[:, :, None, axis] - points[:, None, :, axis]).square_()
    return out


def squared_radius(radius: float) -> float:
    """r² formed in float32, as the kernel does."""
    return torch.tensor(radius, dtype=torch.float32).square().item()


def first_neighbours(squared: Tensor, radius: float, count: int) -> Tensor:
    """Return the first ``count`` points, in index order, that lie strictly within the radius.

    First in index order, not nearest: that is what the operator of the original does. Slots
    that stay unfilled repeat the first hit; a query without a hit gets index 0 everywhere.

    Args:
        squared: (B, Q, N) float32 squared distances.
        radius: in the units of the points.
        count: number of points.

    Returns:
        (B, Q, count) int64 indices.
    """
    inside = squared < squared_radius(radius)
    rank = inside.cumsum(-1, dtype=torch.int32)
    # What is outside, or beyond the last slot, is written to one extra slot and dropped.
    slot = torch.where(inside & (rank <= count), rank - 1, count).long()
    index = torch.arange(squared.shape[-1], device=squared.device).expand_as(slot)
    out = slot.new_zeros((*slot.shape[:-1], count + 1)).scatter_(-1, slot, index)[..., :count]
    filled = torch.arange(count, device=out.device) < rank[..., -1:]
    return torch.where(filled, out, out[..., :1])


def ball_query(queries: Tensor, points: Tensor, radius: float, count: int) -> Tensor:
    """:func:`first_neighbours` of (B, Q, 3) queries among (B, N, 3) points."""
    return ball_queries(queries, points, (radius,), (count,))[0]


def ball_queries(
    queries: Tensor, points: Tensor, radii: Sequence[float], counts: Sequence[int]
) -> list[Tensor]:
    """:func:`ball_query` for several radii."""
    balls = [(squared_radius(r), n) for r, n in zip(radii, counts, strict=True)]
    if points.device.type == "cpu":
        given = (queries.detach().float().numpy(), points.detach().float().numpy())
        return [torch.from_numpy(point_ops_cpu.first_within(*given, *ball)) for ball in balls]
    kernels = cuda_kernels(points.device)
    if kernels is None:
        return plain_ball_queries(queries, points, radii, counts)
    return [kernels.first_within(queries, points, *ball) for ball in balls]


def plain_ball_queries(
    queries: Tensor, points: Tensor, radii: Sequence[float], counts: Sequence[int]
) -> list[Tensor]:
    """:func:`ball_queries` by torch operations alone; the distances are computed once."""
    squared = squared_distances(queries, points)
    return [first_neighbours(squared, r, n) for r, n in zip(radii, counts, strict=True)]


@lru_cache(maxsize=8)
def cuda_kernels(device: torch.device) -> ModuleType | None:
    """Return the Triton kernels once they have chosen the same points here as torch alone.

    None where triton is not installed (it comes with torch for CUDA), where the kernels cannot
    be compiled, or where they disagree; the last two are logged.

    Raises:
        OutOfMemoryError: of the device.
    """
    if device.type != "cuda" or importlib.util.find_spec("triton") is None:
        return None
    try:
        from sam6d_ros.models import point_ops_triton

        agree = kernels_agree(point_ops_triton, device)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a compiler of another version may raise
        _LOG.warning("point operators by torch alone, Triton's do not run: %s", error)
        return None
    if not agree:
        _LOG.warning("point operators by torch alone: Triton's choose other points on %s", device)
        return None
    return point_ops_triton


def kernels_agree(kernels: ModuleType, device: torch.device, total: int = 3000) -> bool:
    """Whether these kernels choose the same as torch alone from two clouds with many ties."""
    random = torch.Generator().manual_seed(0)
    points = torch.rand(2, total, 3, generator=random)
    points[1] = (points[1] * 8).floor()
    points = points.to(device)
    chosen = kernels.sample_furthest(points, tie_order(total, device), 64)
    queries = torch.cat([points[:, :40], points[:, :1] + 99], dim=1)
    found = kernels.first_within(queries, points, squared_radius(0.3), 24)
    expected = plain_ball_queries(queries, points, (0.3,), (24,))[0]
    return torch.equal(chosen, plain_sampling(points, 64)) and torch.equal(found, expected)


def gather_rows(values: Tensor, index: Tensor) -> Tensor:
    """Rows of (B, N, C) at (B, ...) indices: (B, ..., C). Either batch may be 1."""
    batch = max(len(values), len(index))
    flat = index.reshape(len(index), -1, 1).expand(batch, -1, values.shape[-1])
    rows = values.expand(batch, -1, -1).gather(1, flat)
    return rows.reshape(batch, *index.shape[1:], values.shape[-1])


def group(points: Tensor, queries: Tensor, index: Tensor) -> Tensor:
    """Neighbours of each query, relative and absolute.

    Args:
        points: (B, N, 3).
        queries: (B, Q, 3).
        index: (B, Q, S) neighbours of each query among the points.

    Returns:
        (B, Q, S, 6): neighbour − query, then neighbour.
    """
    neighbours = gather_rows(points, index)
    return torch.cat([neighbours - queries[:, :, None], neighbours], dim=-1)
