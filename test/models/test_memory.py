"""Running out of memory in the stages of the sam6d backend: fewer at once, or a clear report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.contexts import context

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.errors import ResourceExhausted  # noqa: E402
from sam6d_ros.models import ism_scores, sam, sam_cut  # noqa: E402
from sam6d_ros.models.sam import SamSegmenter  # noqa: E402
from sam6d_ros.models.sam_cut import Cut  # noqa: E402
from sam6d_ros.runtime.warmup import box_model, warm_up_input  # noqa: E402
from sam6d_ros.stages.sam6d.descriptors import Describer  # noqa: E402
from sam6d_ros.stages.sam6d.estimate import PemEstimator  # noqa: E402
from sam6d_ros.stages.sam6d.score import DescriptorScorer  # noqa: E402
from sam6d_ros.types import Detections, Frame, Proposals, Scene  # noqa: E402

MODEL = box_model()
_, FRAME, DETECTIONS = warm_up_input(MODEL)
SCENE = Scene(FRAME)
SEVERAL = Detections(tuple(replace(d, instance_id="") for d in DETECTIONS.items) * 6)
MASKS = np.repeat(DETECTIONS.items[0].mask[None], 6, 0)


@contextmanager
def room_for(module: torch.nn.Module, most: int) -> Iterator[list[int]]:
    """The module runs out of memory with more than ``most`` items; gives what it was asked."""
    asked: list[int] = []

    def check(_: torch.nn.Module, args: tuple, kwargs: dict) -> None:
        count = max(len(a) for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor))
        asked.append(count)
        if count > most:
            raise torch.OutOfMemoryError(f"CUDA out of memory (pretended, {count} items)")

    hook = module.register_forward_pre_hook(check, with_kwargs=True)
    try:
        yield asked
    finally:
        hook.remove()


def poses(tiny: Any) -> Callable[[], list[np.ndarray]]:
    estimator = PemEstimator(tiny.with_config(detections_per_batch=6), context())
    estimator.prepare(MODEL)
    return lambda: [p.cam_from_obj for p in estimator.estimate(SCENE, SEVERAL, [MODEL]).items]


def descriptors(tiny: Any) -> Callable[[], list[np.ndarray]]:
    describer = Describer(tiny.dino, tiny.device)
    describer.chunk = 6
    boxes = torch.tensor([[20, 20, 100, 80]] * 6)
    found = lambda: describer.proposals(FRAME.rgb, torch.from_numpy(MASKS), boxes)  # noqa: E731
    return lambda: [vars(found())[k].numpy() for k in ("classes", "patches")]


def templates(tiny: Any) -> Callable[[], list[np.ndarray]]:
    wide = tiny.with_config(views=6)

    def run() -> list[np.ndarray]:
        return list(PemEstimator(wide, context())._templates(MODEL).values())

    return run


def proposals(tiny: Any) -> Callable[[], list[np.ndarray]]:
    segmenter = SamSegmenter(tiny.sam.sam, replace(tiny.config, points_per_batch=9))
    return lambda: [segmenter.segment(FRAME.rgb).masks]


STAGES = {
    "poses": (poses, lambda tiny: tiny.pem.feature_extraction, 6),
    "descriptors": (descriptors, lambda tiny: tiny.dino, 6),
    "templates": (templates, lambda tiny: tiny.pem.feature_extraction, 4),
    "proposals": (proposals, lambda tiny: tiny.sam.sam.mask_decoder.iou_prediction_head, 9),
}


@pytest.fixture(params=sorted(STAGES))
def stage(request: pytest.FixtureRequest, tiny: Any) -> tuple[Callable, torch.nn.Module, int]:
    make, part, count = STAGES[request.param]
    return make(tiny), part(tiny), count


def test_too_many_at_once_are_halved_and_the_result_stays(
    stage: tuple, caplog: pytest.LogCaptureFixture
) -> None:
    run, network, count = stage
    expected = run()
    with room_for(network, 2) as asked, caplog.at_level(logging.WARNING):
        found = run()
    assert asked[0] == count
    assert asked[-1] <= 2
    assert "out of memory; retrying with batches of" in caplog.text
    assert len(found) == len(expected)
    for ours, whole in zip(found, expected, strict=True):
        assert ours.shape == whole.shape
        assert np.mean(np.abs(ours.astype(float) - whole)) < 1e-3


def test_a_single_one_too_many_is_reported_with_the_remedy(stage: tuple) -> None:
    run, network, _ = stage
    with room_for(network, 0), pytest.raises(ResourceExhausted, match=r"single .*device:=cpu"):
        run()


def test_few_full_masks_at_once_are_remembered(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every frame runs out of memory again."""
    segmenter = SamSegmenter(tiny.sam.sam, replace(tiny.config, points_per_batch=9))
    real, asked = Cut.masks, []

    def scarce(cut: Cut, logits: torch.Tensor) -> torch.Tensor:
        asked.append(len(logits))
        if len(logits) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")
        return real(cut, logits)

    monkeypatch.setattr(Cut, "masks", scarce)
    monkeypatch.setattr(sam, "keep_best", every_mask)
    for most in (9, 1):  # all, then those that fitted
        asked.clear()
        segmenter.segment(FRAME.rgb).on_device.make()
        assert max(asked) == most


def every_mask(found: sam_cut.Candidates, iou: float) -> tuple[torch.Tensor, ...]:
    return torch.arange(len(found.scores)), found.boxes, found.pixels


BETWEEN_CHUNKS = {
    "sam6d_ros.models.sam.keep_best": lambda tiny: tiny.sam.segment(FRAME.rgb),
    "sam6d_ros.stages.sam6d.score.pack": lambda tiny: DescriptorScorer(tiny, context()).score(
        SCENE, Proposals(MASKS, np.ones(6, np.float32)), [MODEL], {MODEL.name: 6}
    ),
    "sam6d_ros.stages.sam6d.estimate._as_candidates": lambda tiny: PemEstimator(
        tiny, context()
    ).estimate(SCENE, DETECTIONS, [MODEL]),
}


@pytest.mark.parametrize("place", sorted(BETWEEN_CHUNKS))
def test_memory_that_ends_between_chunks_is_reported(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def scarce(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory (pretended)")

    monkeypatch.setattr(place, scarce)
    with pytest.raises(ResourceExhausted, match=r"of (an image|a frame): .*device:=cpu"):
        BETWEEN_CHUNKS[place](tiny)


def test_an_image_too_large_for_sam_is_reported(tiny: Any) -> None:
    encoder = tiny.sam.sam.image_encoder
    with room_for(encoder, 0), pytest.raises(ResourceExhausted, match="single image for SAM"):
        tiny.sam.segment(FRAME.rgb)


def test_comparison_with_templates_is_halved_too(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = DescriptorScorer(tiny, context())
    given = Proposals(MASKS, np.ones(6, np.float32))
    expected = scorer.score(SCENE, given, [MODEL], {MODEL.name: 6})
    assert len(expected) == 6
    real, asked = ism_scores.appearance_scores, []

    def scarce(query: torch.Tensor, reference: torch.Tensor) -> Any:
        asked.append(len(query))
        if len(query) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")
        return real(query, reference)

    monkeypatch.setattr(ism_scores, "appearance_scores", scarce)
    found = scorer.score(SCENE, given, [MODEL], {MODEL.name: 6})
    assert asked == [4, 2, 1, 1, 1, 1, 1, 1]
    for ours, whole in zip(found.items, expected.items, strict=True):
        assert ours.score == pytest.approx(whole.score, abs=1e-5)


def test_objects_stay_usable_after_a_failure(tiny: Any) -> None:
    frame: Frame = FRAME
    estimator = PemEstimator(tiny, context())
    with room_for(tiny.pem.feature_extraction, 0), pytest.raises(ResourceExhausted):
        estimator.estimate(Scene(frame), DETECTIONS, [MODEL])
    assert len(estimator.estimate(Scene(frame), DETECTIONS, [MODEL])) == 1
