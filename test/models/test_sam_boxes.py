"""Boxes of a detector as prompts of SAM: equal to the package, and one region for each box."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.contexts import add, context

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.geometry.region import Region  # noqa: E402
from sam6d_ros.models.sam import SamSegmenter  # noqa: E402
from sam6d_ros.models.sam_decoder import SharedDecoder  # noqa: E402
from sam6d_ros.pipeline import Record, RunContext, Segmentation  # noqa: E402
from sam6d_ros.runtime.engine import Engine  # noqa: E402
from sam6d_ros.runtime.warmup import box_model, warm_up_input  # noqa: E402
from sam6d_ros.stages.areas import Area, SearchAreas  # noqa: E402
from sam6d_ros.stages.sam6d.propose import SamProposer  # noqa: E402
from sam6d_ros.stages.sam6d.score import DescriptorScorer  # noqa: E402
from sam6d_ros.types import Boxes, Scene  # noqa: E402

MODEL = box_model()
_, FRAME, FOUND = warm_up_input(MODEL)
HEIGHT, WIDTH = FRAME.depth.shape
PROMPTS = torch.tensor([[0.0, 0, 127, 127], [10.5, 20, 60, 80.25], [5, 5, 5, 5]])
EDGES = np.array(  # the whole picture, its first and its last pixel, a strip
    [[0, 0, 79, 59], [0, 0, 0, 0], [79, 59, 79, 59], [0, 30, 79, 40]], np.float32
)


def random_image() -> Any:
    return np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)


def test_corners_are_embedded_by_the_formula(tiny: Any) -> None:
    """sin and cos of 2π (2 p − 1) G for the pixel's centre p in [0, 1], plus the kind's vector."""
    network = tiny.sam.sam
    found = SharedDecoder(network, torch.zeros(1, 256, 8, 8))._corners(PROMPTS)
    frequencies = network.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.numpy()
    place = (PROMPTS.numpy().reshape(3, 2, 2).astype(np.float64) + 0.5) / 128
    angle = 2 * np.pi * ((2 * place - 1) @ frequencies)
    kinds = [network.prompt_encoder.point_embeddings[kind].weight.numpy()[0] for kind in (2, 3)]
    expected = np.concatenate([np.sin(angle), np.cos(angle)], axis=-1) + np.stack(kinds)
    assert found.shape == (3, 2, 256)
    assert np.allclose(found, expected, atol=1e-4)


def test_the_decoder_equals_the_package(tiny: Any) -> None:
    network = tiny.sam.sam
    features = torch.randn(1, 256, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        sparse, dense = network.prompt_encoder(points=None, boxes=PROMPTS, masks=None)
        position = network.prompt_encoder.get_dense_pe()
        low, quality = network.mask_decoder(features, position, sparse, dense, False)
        decoder, every = SharedDecoder(network, features), torch.arange(3)
        decoded = decoder.attend(PROMPTS)
        found = decoder.masks(decoded, every, every)
    assert decoded.quality.shape == quality.shape == (3, 1)
    assert torch.allclose(decoded.quality, quality, atol=1e-5)
    assert torch.allclose(found, low[:, 0], atol=1e-5 * float(low.abs().max()), rtol=0)


@pytest.mark.parametrize("width", [0, 40], ids=["as it is", "resized"])
def test_masks_have_the_picture_s_size_in_the_order_of_the_boxes(tiny: Any, width: int) -> None:
    segmenter = SamSegmenter(tiny.sam.sam, replace(tiny.config, segment_width=width))
    masks, quality = segmenter.segment_boxes(random_image(), EDGES)
    assert masks.shape == (4, 60, 80)
    assert masks.dtype == torch.bool
    assert quality.shape == (4,)
    assert ((quality >= 0) & (quality <= 1)).all()
    turned, reverse = segmenter.segment_boxes(random_image(), EDGES[::-1].copy())
    assert torch.allclose(reverse.flip(0), quality, atol=1e-5)
    assert (turned.flip(0) == masks).float().mean() > 0.999


def test_corners_at_the_edge_stay_in_the_network_s_input(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The centre of the last pixel lies inside; the right edge of the box itself would not."""
    seen, attend = [], SharedDecoder.attend

    def watch(self: SharedDecoder, prompts: torch.Tensor) -> Any:
        seen.append(prompts)
        return attend(self, prompts)

    monkeypatch.setattr(SharedDecoder, "attend", watch)
    SamSegmenter(tiny.sam.sam, tiny.config).segment_boxes(random_image(), EDGES)
    prompts = torch.cat(seen)
    assert prompts[0].tolist() == pytest.approx([0, 0, 79 * 128 / 80, 59 * 96 / 60])
    assert (prompts + 0.5 < torch.tensor([128, 96, 128, 96])).all()


def test_chunks_of_boxes_change_nothing(tiny: Any) -> None:
    runs = [
        SamSegmenter(tiny.sam.sam, replace(tiny.config, points_per_batch=n)).segment_boxes(
            random_image(), EDGES
        )
        for n in (1, 3, 4)
    ]
    for masks, quality in runs[1:]:
        assert torch.allclose(quality, runs[0][1], atol=1e-5)
        assert (masks == runs[0][0]).float().mean() > 0.999


def areas(*regions: Region, names: tuple[str, ...] = ("a",)) -> SearchAreas:
    return SearchAreas(tuple(Area(r, frozenset(names)) for r in regions), frozenset())


class GivenMasks:
    """Segmenter whose masks are fixed: a network without training gives none to choose."""

    def __init__(self, *masks: Any) -> None:
        self.masks = torch.from_numpy(np.stack(masks))

    def segment_boxes(self, rgb: Any, boxes: Any, checkpoint: Any) -> tuple[Any, Any]:
        return self.masks, torch.full((len(self.masks),), 0.25)


def rectangle(x: int, y: int, width: int, height: int) -> Any:
    mask = np.zeros(FRAME.depth.shape, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def test_a_mask_elsewhere_or_none_gives_the_box_with_depth(tiny: Any) -> None:
    x, y, width, height = FOUND.items[0].bbox_xywh
    box = Region(x, y, width, height)
    moved = (Region(x, y, width - 1, height), Region(x, y, width, height - 1))
    masks = rectangle(x, y, width, 9), rectangle(0, 0, 5, 5), rectangle(0, 0, 0, 0)
    networks = replace(tiny, sam=GivenMasks(*masks))
    found = SamProposer(networks).propose_in_boxes(Scene(FRAME), areas(box, *moved))
    assert (found.masks[0] == masks[0]).all()
    for mask, region in zip(found.masks[1:], moved, strict=True):
        own = rectangle(region.x, region.y, region.width, region.height)
        assert (mask == own & (FRAME.depth > 0)).all()
    assert found.scores.tolist() == [0.25, 1, 1]


def test_boxes_with_the_same_edges_are_one_prompt(tiny: Any) -> None:
    box, other = Region(10, 20, 30, 40), Region(0, 0, WIDTH, HEIGHT)
    given = SearchAreas(
        tuple(Area(r, frozenset(n)) for r, n in ((box, "a"), (other, "c"), (box, "b"))), frozenset()
    )
    found = SamProposer(tiny).propose_in_boxes(Scene(FRAME), given)
    assert found.class_ids == (frozenset("ab"), frozenset("c"))
    assert found.masks.shape == (2, HEIGHT, WIDTH)
    found.check_size(FRAME)


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the prompts that the decoder gets."""
    seen, attend = [], SharedDecoder.attend

    def watch(self: SharedDecoder, given: torch.Tensor) -> Any:
        seen.append(tuple(given.shape))
        return attend(self, given)

    monkeypatch.setattr(SharedDecoder, "attend", watch)
    return seen


def test_the_boxes_of_a_frame_replace_the_grid(tiny: Any, prompts: list[tuple[int, ...]]) -> None:
    """A search in the whole frame needs the grid, masks need no SAM, no box needs nothing."""
    scorer = DescriptorScorer(tiny, context())
    engine = Engine(PipelineConfig(), segmentation=Segmentation(SamProposer(tiny), scorer))
    add(engine, MODEL)
    x, y, width, height = FOUND.items[0].bbox_xywh
    xyxy = np.array([[x, y, x + width, y + height], [0, 0, 3, 3]], np.float32)
    given = Boxes(xyxy, (MODEL.name,) * 2, np.ones(2, np.float32), stamp_ns=FRAME.stamp_ns)
    ctx = RunContext(record=Record())
    assert ctx.record is not None
    found = engine.segment(FRAME, ctx=ctx, boxes=given)
    assert prompts == [(2, 4)]
    assert len(ctx.record.proposals) == 2  # type: ignore[arg-type]
    assert found.items
    assert all(d.class_id == MODEL.name for d in found.items)
    prompts.clear()
    masked = replace(given, masks=np.repeat(FOUND.items[0].mask[None], 2, 0))
    engine.segment(FRAME, boxes=masked)
    none = Boxes(xyxy[:0], (), np.ones(0, np.float32), classes=(MODEL.name,))
    assert "reported none of the objects" in engine.segment(FRAME, boxes=none).reason
    assert prompts == []
    engine.segment(FRAME, boxes=replace(none, classes=("cat",)))
    assert {shape[1] for shape in prompts} == {2}
