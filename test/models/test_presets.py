"""Presets of the sam6d backend."""

from __future__ import annotations

import pytest

from sam6d_ros.errors import InvalidConfig
from sam6d_ros.stages.sam6d.settings import Sam6dConfig


def test_presets_give_defaults_that_words_override() -> None:
    assert Sam6dConfig.parse("preset=quality") == Sam6dConfig()
    fast = Sam6dConfig.parse("preset=fast")
    assert (fast.sam_variant, fast.points_per_side) == ("vit_b", 16)
    assert fast.memory_budget_mb < Sam6dConfig().memory_budget_mb
    own = Sam6dConfig.parse("points_per_side=24 preset=fast")
    assert (own.sam_variant, own.points_per_side) == ("vit_b", 24)
    with pytest.raises(InvalidConfig, match="quality, balanced, fast"):
        Sam6dConfig.parse("preset=best")
