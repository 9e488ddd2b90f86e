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

from sam6d_ros.models import sam, sam_attention, sam_cut, sam_network  # noqa: E402
from sam6d_ros.models.ism_scores import box_iou  # noqa: E402
from sam6d_ros.models.sam_attention import attend  # noqa: E402
from sam6d_ros.models.sam_decoder import SharedDecoder  # noqa: E402
from sam6d_ros.models.suppression import suppress  # noqa: E402
from sam6d_ros.stages.sam6d.settings import Sam6dConfig  # noqa: E402


@pytest.fixture(scope="module")
def amg() -> Any:
    """The package's helpers (they need no torchvision)."""
    sam_network.package()
    return importlib.import_module(f"{sam_network.ALIAS}.utils.amg")


def test_helpers_equal_the_package(amg: Any) -> None:
    logits = torch.randn(12, 30, 40, generator=torch.Generator().manual_seed(1)) - 1
    masks = logits > 1.2
    masks[3] = False
    assert torch.equal(sam_cut.mask_boxes(masks), amg.batched_mask_to_box(masks))
    expected = amg.calculate_stability_score(logits, 0.0, sam_cut.STABILITY_OFFSET)
    assert torch.equal(sam_cut.stability(logits, 0.0), expected)
    assert np.allclose(sam.point_grid(5), amg.build_point_grid(5))


@pytest.mark.parametrize("variant", sorted(sam_network.SHAPES))
def test_shapes_equal_the_package_builders(variant: str) -> None:
    sam_network.package()
    builders = importlib.import_module(f"{sam_network.ALIAS}.build_sam").sam_model_registry
    with torch.device("meta"):
        ours, theirs = sam_network.build_sam(sam_network.SHAPES[variant]), builders[variant]()
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("batch", "side"), [(1, 40), (9, 14)], ids=["global", "windows"])
def test_attention_with_the_bias_in_channels_equals_the_package(batch: int, side: int) -> None:
    """The form of a GPU: no mask, and a width that flash attention takes."""
    attention, package, x = attention_input(batch, side)
    plain = F.scaled_dot_product_attention
    seen: list[tuple[int, bool]] = []

    def watch(query: torch.Tensor, *rest: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        seen.append((query.shape[-1] % 8, named.get("attn_mask") is None))
        return plain(query, *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "scaled_dot_product_attention", watch)
        found = sam_attention.attend_folded(attention, package, x)
    expected = attention(x)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert seen == [(0, True)]


def attention_input(batch: int, side: int) -> tuple[Any, Any, torch.Tensor]:
    """The package's attention with random positions, its module, and tokens."""
    sam_network.package()
    package = importlib.import_module(f"{sam_network.ALIAS}.modeling.image_encoder")
    random = torch.Generator().manual_seed(1)
    attention = package.Attention(64, 4, True, True, True, (side, side)).requires_grad_(False)
    for table in (attention.rel_pos_h, attention.rel_pos_w):
        table.copy_(torch.randn(table.shape, generator=random))
    return attention, package, torch.randn(batch, side, side, 64, generator=random)


@pytest.mark.parametrize(("batch", "side"), [(1, 40), (9, 14)], ids=["global", "windows"])
def test_attention_in_pieces_equals_the_package(batch: int, side: int) -> None:
    attention, package, x = attention_input(batch, side)
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


@pytest.mark.parametrize("above", [-9.0, 0.0, 9.0], ids=["all", "some", "none"])
def test_shared_decoder_equals_the_package(tiny: Any, above: float) -> None:
    network, random = tiny.sam.sam, torch.Generator().manual_seed(2)
    features = torch.randn(1, 256, 8, 8, generator=random)
    points = torch.rand(7, 2, generator=random) * 128
    with torch.inference_mode():
        labels = torch.ones(7, 1, dtype=torch.int32)
        given = (points[:, None], labels)
        sparse, dense = network.prompt_encoder(points=given, boxes=None, masks=None)
        position = network.prompt_encoder.get_dense_pe()
        low, quality = network.mask_decoder(features, position, sparse, dense, True)
        between = quality.flatten().sort().values[10:12].mean()  # no value at the threshold
        middle = float(between) if above == 0 else above
        decoder = SharedDecoder(network, features)
        decoded = decoder.attend(points)
        good = quality > middle
        used = good.any(1).nonzero()[:, 0]
        found = decoder.masks(decoded, used, good[used].flatten().nonzero()[:, 0])
    assert torch.allclose(decoded.quality, quality, atol=1e-5)
    expected = low[good]
    assert len(found) == len(expected)
    assert torch.allclose(found, expected, atol=1e-5 * float(low.abs().max()), rtol=0)


def test_memory_of_the_decoder_is_in_the_estimate(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was left out: 7.4 GB were taken of a budget of 4.1 GB."""
    seen: list[float] = []
    monkeypatch.setattr(
        sam, "batch_size", lambda wanted, budget, item, *device: seen.append(item) or 3
    )
    sam.SamSegmenter(tiny.sam.sam, tiny.config).segment(np.zeros((48, 64, 3), np.uint8))
    upscaled = 3 * (128**2 + 640 * 480) * 4 / 2**20
    assert seen[0] == pytest.approx(upscaled + 64 * 5 / 1024)


def test_suppression_keeps_the_best_of_overlapping_boxes() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [0, 0, 0, 0]])
    scores = torch.tensor([0.5, 0.9, 0.1, 0.2])
    assert suppress(boxes, scores, 0.7).tolist() == [1, 3, 2]
    assert suppress(boxes[:0], scores[:0], 0.7).tolist() == []


@pytest.mark.parametrize(("side", "table"), [(14, 27), (9, 27)], ids=["as trained", "resampled"])
def test_relative_positions_equal_the_package(side: int, table: int) -> None:
    sam_network.package()
    package = importlib.import_module(f"{sam_network.ALIAS}.modeling.image_encoder")
    values = torch.randn(table, 8, generator=torch.Generator().manual_seed(1))
    expected = package.get_rel_pos(side, side, values)
    assert torch.equal(sam_attention._positions(package, side, values), expected)


def test_suppression_by_rounds_equals_one_box_after_the_other() -> None:
    random = torch.Generator().manual_seed(8)
    centre = torch.rand(400, 2, generator=random) * 300
    size = torch.rand(400, 2, generator=random) * 80 + 10
    centre[100:] = centre[:100].repeat(3, 1) + torch.randn(300, 2, generator=random) * 4
    chain = torch.stack([torch.arange(60.0) * 2 + 900, torch.full((60,), 50.0)], 1)  # one by one
    centre = torch.cat([centre, chain])
    size = torch.cat([size, torch.full((60, 2), 10.0)])
    boxes = torch.cat([centre - size / 2, centre + size / 2], -1).round().long()
    scores = torch.rand(460, generator=random)
    scores[400:] = torch.linspace(2, 1, 60)
    for iou in (0.25, 0.7):
        kept: list[int] = []
        for index in scores.argsort(descending=True, stable=True).tolist():
            overlap, _ = box_iou(boxes[index].double(), boxes[kept].double().reshape(-1, 4))
            if not (overlap > iou).any():
                kept.append(index)
        assert suppress(boxes, scores, iou).tolist() == kept


@pytest.mark.parametrize("budget", [64, 4096], ids=["several groups", "one group"])
def test_groups_of_prompts_change_nothing(tiny: Any, budget: int) -> None:
    """On a GPU the host waits once for a group; on the CPU a group is a chunk."""
    rgb = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    config = replace(tiny.config, points_per_side=6)
    expected = sam.SamSegmenter(tiny.sam.sam, config).segment(rgb)
    grouped = sam.SamSegmenter(tiny.sam.sam, config)
    grouped._batches = lambda *_: (4, 4 * budget // 64)  # type: ignore[method-assign]
    found = grouped.segment(rgb)
    assert np.allclose(found.scores, expected.scores, atol=1e-5)
    assert (found.masks == expected.masks).mean() > 0.999


def test_images_are_taken_at_the_configured_width(tiny: Any) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    segmenter = sam.SamSegmenter(tiny.sam.sam, replace(tiny.config, segment_width=80))
    found = segmenter.segment(rgb)
    assert found.masks.shape[1:] == (90, 160)


@pytest.mark.parametrize("width", [0, 40], ids=["the image's", "smaller"])
def test_masks_stay_small_until_they_are_asked_for(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """All kept masks were held at the size of the image: 8 MB each of a 4K image."""
    rgb = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    config = replace(tiny.config, segment_width=width, points_per_side=5, box_nms_iou=1.0)
    monkeypatch.setattr(sam_cut, "RESIZED_AT_ONCE", 4)
    sizes, real = [], sam_cut.to_size
    watch = lambda m, hw: sizes.append(len(m)) or real(m, hw)  # noqa: E731
    monkeypatch.setattr(sam_cut, "to_size", watch)
    found = sam.SamSegmenter(tiny.sam.sam, config).segment(rgb)
    small = found.on_device
    assert len(small) > 4
    assert small.logits.shape[1:] == (32, 32)  # four times the grid of tokens
    assert (sizes == []) == (width == 0)
    assert max(sizes, default=0) <= 4
    full = small.make()
    assert full.shape == (len(small), 60, 80)
    assert torch.equal(sam_cut.mask_boxes(full), found.boxes_host)
    assert torch.equal(full.flatten(1).sum(-1), found.pixels)
    assert torch.equal(small[torch.tensor([3, 0])].make(), full[[3, 0]])


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
        "from sam6d_ros.models import sam_network\n"
        "sam_network.package(); assert 'segment_anything' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("device", "form"), [("cpu", "attend"), ("meta", "attend_folded")])
def test_the_device_decides_the_form_of_attention(
    monkeypatch: pytest.MonkeyPatch, device: str, form: str
) -> None:
    """A GPU takes the folded bias alone, the CPU the form in pieces."""
    called: list[str] = []
    for name in ("attend", "attend_folded"):
        note = lambda attention, package, x, name=name: called.append(name) or x  # noqa: E731
        monkeypatch.setattr(sam_attention, name, note)
    with torch.device(device):
        shape = sam_network.SamShape(32, 2, 2, (1,), image_size=128)
        encoder = sam_network.build_sam(shape).image_encoder
        encoder(torch.zeros(1, 3, 128, 128))
    assert called == [form] * 2
