"""The point operators as Triton kernels for CUDA; ``point_ops`` says what they compute.

In torch alone, sampling is a dozen kernel launches per chosen point; here one kernel chooses all
of them, and the search for neighbours makes no array of all distances. Fused multiply-adds are
turned off (``EXACT``), so that distances have the same bits as elsewhere and ties fall the same
way.
"""

# mypy: disable-error-code="no-untyped-def"
# (Triton reads the annotations of kernels, and accepts its own only)
from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

FAR = 1e10  # squared distance before any point is chosen
EXACT = {"enable_fp_fusion": False}
SAMPLE_TILE = 2048  # points that one pass of a block looks at; the usual cloud is one tile
SEARCH_TILE = 256


@triton.jit
def tile_distances(points, offsets, inside, x, y, z):
    """((dx² + dy²) + dz²) of the points (N, 3) at some offsets to one point."""
    dx = x - tl.load(points + 3 * offsets, mask=inside, other=0.0)
    dy = y - tl.load(points + 3 * offsets + 1, mask=inside, other=0.0)
    dz = z - tl.load(points + 3 * offsets + 2, mask=inside, other=0.0)
    return (dx * dx + dy * dy) + dz * dz


@triton.jit
def sample_kernel(points, nearest, chosen, total, count, TILE: tl.constexpr):
    """One program chooses the points of one cloud, which lie in order of preference.

    points: (B, total, 3) float32. nearest: (B, total) float32, all FAR. chosen: (B, count) int64.
    """
    item = tl.program_id(0).to(tl.int64)
    points += item * total * 3
    nearest += item * total
    chosen += item * count
    last = tl.full((), 0, tl.int32)
    for step in range(count):
        tl.store(chosen + step, last.to(tl.int64))
        x = tl.load(points + 3 * last)
        y = tl.load(points + 3 * last + 1)
        z = tl.load(points + 3 * last + 2)
        furthest = tl.full((TILE,), -1.0, tl.float32)
        place = tl.full((TILE,), 0, tl.int32)
        for start in range(0, total, TILE):
            offsets = start + tl.arange(0, TILE)
            inside = offsets < total
            near = tl.load(nearest + offsets, mask=inside, other=-1.0)
            near = tl.minimum(near, tile_distances(points, offsets, inside, x, y, z))
            tl.store(nearest + offsets, near, mask=inside)
            place = tl.where(near > furthest, offsets, place)
            furthest = tl.maximum(near, furthest)
        ties = furthest == tl.max(furthest, axis=0)
        last = tl.min(tl.where(ties, place, total), axis=0)
        tl.debug_barrier()  # what this step stored is what the next one loads


@triton.jit
def search_kernel(queries, points, found, bound, asked, total, COUNT, TILE: tl.constexpr):
    """One program finds the first COUNT points within the bound of one query.

    queries: (B, asked, 3) float32. points: (B, total, 3) float32. found: (B, asked, COUNT) int64,
    all zero. bound: squared radius.
    """
    query = tl.program_id(0).to(tl.int64)
    points += (query // asked) * total * 3
    found += query * COUNT
    x = tl.load(queries + 3 * query)
    y = tl.load(queries + 3 * query + 1)
    z = tl.load(queries + 3 * query + 2)
    hits = tl.full((), 0, tl.int32)
    first = tl.full((), 0, tl.int32) + total
    start = tl.full((), 0, tl.int32)
    while (start < total) & (hits < COUNT):
        offsets = start + tl.arange(0, TILE)
        inside = offsets < total
        squared = tile_distances(points, offsets, inside, x, y, z)
        hit = (inside & (squared < bound)).to(tl.int32)
        slot = hits + tl.cumsum(hit, 0) - 1
        tl.store(found + slot, offsets.to(tl.int64), mask=(hit > 0) & (slot < COUNT))
        first = tl.minimum(first, tl.min(tl.where(hit > 0, offsets, total), axis=0))
        hits += tl.sum(hit, axis=0)
        start += TILE
    if hits > 0:  # slots that stay free repeat the first hit
        for begin in range(0, COUNT, TILE):
            slots = begin + tl.arange(0, TILE)
            free = (slots >= hits) & (slots < COUNT)
            tl.store(found + slots, tl.full((TILE,), 0, tl.int64) + first, mask=free)


def sample_furthest(points: Tensor, order: Tensor, count: int) -> Tensor:
    """(B, count) int64 indices of (B, N, 3) points; ``order`` (N,) ranks tied candidates."""
    ordered = points.detach().float()[:, order].contiguous()
    batch, total = ordered.shape[:2]
    nearest = torch.full((batch, total), FAR, device=points.device)
    chosen = torch.zeros((batch, count), dtype=torch.int64, device=points.device)
    _launch(sample_kernel, batch, ordered, nearest, chosen, total, count, TILE=SAMPLE_TILE)
    return order[chosen]


def first_within(queries: Tensor, points: Tensor, limit: float, count: int) -> Tensor:
    """(B, Q, count) int64: the first points with a squared distance below ``limit``."""
    queries, points = (t.detach().float().contiguous() for t in (queries, points))
    batch, asked = queries.shape[:2]
    found = torch.zeros((batch, asked, count), dtype=torch.int64, device=points.device)
    given = (queries, points, found, limit, asked, points.shape[1], count)
    _launch(search_kernel, batch * asked, *given, TILE=SEARCH_TILE)
    return found


def _launch(kernel: Any, programs: int, *arguments: Any, TILE: int) -> None:
    """Start one program each on the device of the arguments; nothing when there is none."""
    if programs == 0:
        return
    warps = max(1, TILE // 256)
    if arguments[0].device.type != "cuda":  # the interpreter
        kernel[(programs,)](*arguments, TILE=TILE)
        return
    with torch.cuda.device(arguments[0].device):
        kernel[(programs,)](*arguments, TILE=TILE, num_warps=warps, **EXACT)
