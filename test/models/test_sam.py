"""The mask policy: equal to the package's own parts, and sound when there is nothing to find."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")
from torch.nn import functional as F  # noqa: E402

from sam6d_ros.models import ism_scores, sam  # noqa: E402
from sam6d_ros.models.sam_attention import attend  # noqa: E402
from sam6d_ros.stages.sam6d.settings import Sam6dConfig  # noqa: E402


@pytest.fixture(scope="module")
def amg() -> Any:
    """The package's helpers (they need no torchvision)."""
    sam._package()
    return importlib.import_module(f"{sam._ALIAS}.utils.amg")


def test_helpers_equal_the_package(amg: Any) -> None:
    logits = torch.randn(12, 30, 40, generator=torch.Generator().manual_seed(1)) - 1
    masks = logits > 1.2
    masks[3] = False
    assert torch.equal(sam.mask_boxes(masks), amg.batched_mask_to_box(masks))
    expected = amg.calculate_stability_score(logits, 0.0, sam.STABILITY_OFFSET)
    assert torch.equal(sam.stability(logits, 0.0), expected)
    assert np.allclose(sam.point_grid(5), amg.build_point_grid(5))


@pytest.mark.parametrize("variant", sorted(sam.SHAPES))
def test_shapes_equal_the_package_builders(variant: str) -> None:
    sam._package()
    builders = importlib.import_module(f"{sam._ALIAS}.build_sam").sam_model_registry
    with torch.device("meta"):
        ours, theirs = sam.build_sam(sam.SHAPES[variant]), builders[variant]()
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("batch", "side"), [(1, 40), (9, 14)], ids=["global", "windows"])
def test_attention_in_pieces_equals_the_package(batch: int, side: int) -> None:
    sam._package()
    package = importlib.import_module(f"{sam._ALIAS}.modeling.image_encoder")
    random = torch.Generator().manual_seed(1)
    attention = package.Attention(64, 4, True, True, True, (side, side)).requires_grad_(False)
    for table in (attention.rel_pos_h, attention.rel_pos_w):
        table.copy_(torch.randn(table.shape, generator=random))
    x = torch.randn(batch, side, side, 64, generator=random)
    expected = attention(x)
    found = attend(attention, package, x)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    plain = F.scaled_dot_product_attention
    calls: list[int] = []

    def count(query: torch.Tensor, *rest: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        calls.append(len(query))
        return plain(query, *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "scaled_dot_product_attention", count)
        attend(attention, package, x)
    assert sum(calls) == batch * 4
    assert len(calls) > 1


def test_suppression_keeps_the_best_of_overlapping_boxes() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [0, 0, 0, 0]])
    scores = torch.tensor([0.5, 0.9, 0.1, 0.2])
    assert ism_scores.suppress(boxes, scores, 0.7).tolist() == [1, 3, 2]
    assert ism_scores.suppress(boxes[:0], scores[:0], 0.7).tolist() == []


def test_images_are_taken_at_the_configured_width(tiny: Any) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    segmenter = sam.SamSegmenter(tiny.sam.sam, replace(tiny.config, segment_width=80))
    found = segmenter.segment(rgb)
    assert found.masks.shape[1:] == (90, 160)


def test_batches_change_nothing(tiny: Any) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    runs = [
        sam.SamSegmenter(tiny.sam.sam, replace(tiny.config, points_per_batch=n)).segment(rgb)
        for n in (1, 4, 9)
    ]
    for run in runs[1:]:
        assert np.allclose(run.scores, runs[0].scores, atol=1e-5)
        assert (run.masks == runs[0].masks).mean() > 0.999


def test_no_mask_is_a_result(tiny: Any) -> None:
    strict = Sam6dConfig(points_per_side=2, min_predicted_iou=1.0)
    found = sam.SamSegmenter(tiny.sam.sam, strict).segment(np.zeros((48, 64, 3), np.uint8))
    assert found.masks.shape == (0, 48, 64)
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == (0,)


def test_torchvision_is_not_needed() -> None:
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from sam6d_ros.models import sam\n"
        "sam._package(); assert 'segment_anything' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
