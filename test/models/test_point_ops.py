"""The point operators against literal simulations of what their CUDA kernels do."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.models import point_ops  # noqa: E402


def simulate_reduction(points: np.ndarray, count: int) -> list[int]:
    """Furthest-point sampling with a block of threads and a tree reduction, as on the GPU."""
    total = len(points)
    lanes = min(512, 1 << (total.bit_length() - 1))
    nearest = np.full(total, 1e10, np.float32)
    chosen = [0]
    while len(chosen) < count:
        d = points - points[chosen[-1]]
        squared = d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1] + d[:, 2] * d[:, 2]
        nearest = np.minimum(nearest, squared)
        best = []
        for lane in range(lanes):
            mine = np.arange(lane, total, lanes)
            k = mine[np.argmax(nearest[mine])]  # the first of equals
            best.append((nearest[k], k))
        half = lanes // 2
        while half:
            for lane in range(half):
                if best[lane + half][0] > best[lane][0]:
                    best[lane] = best[lane + half]
            half //= 2
        chosen.append(int(best[0][1]))
    return chosen


@pytest.mark.parametrize("total", [5, 64, 300, 700])
def test_sampling_settles_ties_like_the_gpu(total: int) -> None:
    random = np.random.default_rng(total)
    points = random.integers(0, 4, (total, 3)).astype(np.float32)  # full of ties
    expected = simulate_reduction(points, 20)
    for sample in (point_ops.furthest_point_sampling, point_ops.plain_sampling):
        assert sample(torch.from_numpy(points)[None], 20)[0].tolist() == expected


def test_sampling_spreads_points() -> None:
    points = torch.rand(2, 500, 3, generator=torch.Generator().manual_seed(0))
    index = point_ops.furthest_point_sampling(points, 50)
    chosen = point_ops.gather_rows(points, index)
    gaps = torch.cdist(chosen, chosen) + 10 * torch.eye(50)
    reach = torch.cdist(points, chosen).amin(2).amax(1)
    assert (gaps.amin((1, 2)) >= reach).all()  # the covering law of the greedy choice


def test_compiled_loops_equal_plain_torch() -> None:
    generator = torch.Generator().manual_seed(2)
    points = torch.rand(3, 1500, 3, generator=generator) * 4 + torch.tensor([0.3, 0.0, 6.0])
    points[:, 700:] = points[:, :800]  # duplicates
    expected = point_ops.plain_sampling(points, 300)
    assert torch.equal(point_ops.furthest_point_sampling(points, 300), expected)
    settings = (points, points, (0.1, 0.4), (8, 32))
    pairs = zip(
        point_ops.ball_queries(*settings), point_ops.plain_ball_queries(*settings), strict=True
    )
    assert all(torch.equal(ours, plain) for ours, plain in pairs)


def test_tie_order_is_a_permutation() -> None:
    for total in (1, 2, 3, 511, 512, 513, 2048):
        assert sorted(point_ops.tie_order(total).tolist()) == list(range(total))


def test_ball_query_takes_the_first_in_order() -> None:
    random = np.random.default_rng(3)
    cloud = random.random((60, 3)).astype(np.float32)
    queries = np.concatenate([cloud[:10], [[9.0, 9.0, 9.0]]]).astype(np.float32)
    given = torch.from_numpy(queries)[None], torch.from_numpy(cloud)[None]
    found = point_ops.ball_query(*given, 0.3, 5)[0]
    assert torch.equal(found, point_ops.plain_ball_queries(*given, (0.3,), (5,))[0][0])
    limit = np.float32(0.3) * np.float32(0.3)
    for query, ours in zip(queries, found.tolist(), strict=True):
        d = query - cloud
        hits = np.flatnonzero(d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1] + d[:, 2] * d[:, 2] < limit)
        first = hits[:5].tolist() or [0]
        assert ours == first + [first[0]] * (5 - len(first))


def test_group_gives_relative_and_absolute_positions() -> None:
    points = torch.arange(12.0).reshape(1, 4, 3)
    groups = point_ops.group(points, points[:, :2], torch.tensor([[[3, 0], [1, 1]]]))
    assert groups.shape == (1, 2, 2, 6)
    assert groups[0, 0, 0].tolist() == [9, 9, 9, 9, 10, 11]
    assert groups[0, 1, 1].tolist() == [0, 0, 0, 3, 4, 5]
