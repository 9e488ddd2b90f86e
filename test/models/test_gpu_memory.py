"""Memory on a GPU by meta tensors; no GPU has confirmed it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from benchmarks.gpu_memory import META, empty, estimate, peak_mb  # noqa: E402
from sam6d_ros.models.transfer import pack  # noqa: E402
from sam6d_ros.stages.sam6d.settings import Sam6dConfig  # noqa: E402


@pytest.mark.parametrize(("preset", "most_gb"), [("quality", 9), ("fast", 4)])
def test_presets_stay_below_their_memory(preset: str, most_gb: float) -> None:
    """264 prompts at once took 7.4 GB of a budget of 4.1 GB; graphs were not counted."""
    config = Sam6dConfig.parse(f"preset={preset}")
    found = estimate(config)
    assert found.total < most_gb * 1024
    for name, used in (found.stages | found.graphs).items():
        assert 0 <= used < config.memory_budget_mb, name
    assert found.weights > 900
    assert all(used > 100 for used in found.graphs.values())


def test_only_what_lives_at_once_counts() -> None:
    given = empty(256, 1024)  # 1 MB, there before

    def run() -> None:
        for _ in range(5):
            given + torch.ones(1024, device=META)

    assert peak_mb(run) == pytest.approx(1, abs=0.01)


def test_packing_masks_needs_little_more_than_the_masks() -> None:
    """As float32, 500 million pixels took 2 GB beside the masks."""
    masks = empty(100, 480, 640, dtype=torch.bool)
    assert peak_mb(lambda: pack(masks)) <= 2.3 * masks.numel() / 2**20
