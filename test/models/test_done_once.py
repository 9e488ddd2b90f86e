"""What the stages of the sam6d backend make once, and only for those that need it."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest
from support.contexts import add, context

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.models import ism_scores, sam_cut  # noqa: E402
from sam6d_ros.models.sam import SamSegmenter  # noqa: E402
from sam6d_ros.pipeline import PoseEstimation, Segmentation  # noqa: E402
from sam6d_ros.runtime.engine import Engine  # noqa: E402
from sam6d_ros.runtime.warmup import box_model, warm_up_input  # noqa: E402
from sam6d_ros.stages.keep_poses import KeepPoses  # noqa: E402
from sam6d_ros.stages.sam6d import views  # noqa: E402
from sam6d_ros.stages.sam6d.estimate import PemEstimator  # noqa: E402
from sam6d_ros.stages.sam6d.propose import SamProposer  # noqa: E402
from sam6d_ros.stages.sam6d.regions_on_device import DeviceProposals  # noqa: E402
from sam6d_ros.stages.sam6d.score import DescriptorScorer  # noqa: E402
from sam6d_ros.types import Scene  # noqa: E402

MODEL = box_model()


def test_views_are_rendered_once_for_both_stages_and_freed(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stage rendered the 42 views for itself."""
    built, real = context(), views.render_views
    rendered: list[weakref.ref[views.TemplateView]] = []

    def watch(*args: Any) -> list[views.TemplateView]:
        found = real(*args)
        rendered.extend(weakref.ref(view) for view in found)
        return found

    monkeypatch.setattr(views, "render_views", watch)
    engine = Engine(
        PipelineConfig(),
        segmentation=Segmentation(SamProposer(tiny), DescriptorScorer(tiny, built)),
        pose_estimation=PoseEstimation(PemEstimator(tiny, built), KeepPoses()),
        library=built.library,
    )
    add(engine, MODEL)
    assert len(rendered) == tiny.config.views
    gc.collect()
    assert [view() for view in rendered] == [None] * len(rendered)


def test_only_regions_that_are_scored_are_made_at_full_size(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, frame, _), made, real = warm_up_input(MODEL), [], sam_cut.SmallMasks.make
    watch = lambda masks: made.append(len(masks)) or real(masks)  # noqa: E731
    monkeypatch.setattr(sam_cut.SmallMasks, "make", watch)
    nets = tiny.with_config(compat="fixed", box_nms_iou=1.0)
    nets = replace(nets, sam=SamSegmenter(tiny.sam.sam, nets.config))
    proposals = SamProposer(nets).propose(Scene(frame))
    assert isinstance(proposals, DeviceProposals)
    assert len(proposals) > 1
    proposals.check_size(frame)
    pixels = proposals.regions.pixels.clone()
    pixels[0] = 1  # too small for an object
    proposals = DeviceProposals(replace(proposals.regions, pixels=pixels), proposals.scores)
    assert made == []
    scorer = DescriptorScorer(nets, context())
    scorer.score(Scene(frame), proposals, [MODEL], {MODEL.name: 3})
    large = ism_scores.large_enough(
        proposals.regions.boxes, proposals.regions.pixels, frame.depth.size
    )
    assert made == [int(large.sum())]
    assert made[0] < len(proposals)
