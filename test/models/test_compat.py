"""What ``compat`` changes in the segmentation scores; templates, duplicates: test_sam6d_stages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.contexts import context

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.models import ism_scores  # noqa: E402
from sam6d_ros.runtime.warmup import box_model, warm_up_input  # noqa: E402
from sam6d_ros.stages.sam6d.score import DescriptorScorer  # noqa: E402
from sam6d_ros.types import Proposals, Scene  # noqa: E402

MODEL = box_model()


def test_one_missed_overlap_zeroes_every_geometric_score_in_legacy_mode_only() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]])
    corners = torch.tensor([[[0, 0], [10, 10]], [[5, 0], [15, 10]], [[0, 0], [10, 10]]])
    assert ism_scores.geometric_scores(corners, boxes, legacy=True).tolist() == [0, 0, 0]
    fixed = ism_scores.geometric_scores(corners, boxes, legacy=False)
    assert fixed.tolist() == pytest.approx([1, 1 / 3, 0])
    both = ism_scores.geometric_scores(corners[:2], boxes[:2], legacy=True)
    assert both.tolist() == pytest.approx([1, 1 / 3])


@pytest.mark.parametrize(("compat", "described"), [("legacy", 2), ("fixed", 1)])
def test_tiny_regions_are_described_in_legacy_mode_only(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, compat: str, described: int
) -> None:
    _, frame, detections = warm_up_input(MODEL)
    large = detections.items[0].mask
    speck = np.zeros_like(large)
    speck[40:42, 40:42] = True
    proposals = Proposals(np.stack([large, speck]), np.ones(2, np.float32))
    scorer = DescriptorScorer(tiny.with_config(compat=compat), context())
    scorer.prepare(MODEL)
    seen: list[int] = []
    hook = tiny.dino.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    try:
        scorer.score(Scene(frame), proposals, [MODEL], {MODEL.name: 3})
    finally:
        hook.remove()
    assert sum(seen) == described


def test_fewer_views_make_fewer_templates(tiny: Any) -> None:
    counts = []
    for views in (2, 5):
        scorer = DescriptorScorer(tiny.with_config(views=views), context())
        counts.append(len(scorer._templates(MODEL).rotations))
    assert counts == [2, 5]
