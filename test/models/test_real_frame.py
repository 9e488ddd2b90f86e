"""The way of a real image through SAM and what follows, with tiny seeded networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.contexts import add, context

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.frames import load_frame  # noqa: E402
from sam6d_ros.models.sam import SamSegmenter  # noqa: E402
from sam6d_ros.models.sam_cut import SamMasks  # noqa: E402
from sam6d_ros.pipeline import PoseEstimation, Segmentation  # noqa: E402
from sam6d_ros.runtime.engine import Engine  # noqa: E402
from sam6d_ros.runtime.warmup import box_model  # noqa: E402
from sam6d_ros.stages.keep_poses import KeepPoses  # noqa: E402
from sam6d_ros.stages.sam6d.estimate import PemEstimator  # noqa: E402
from sam6d_ros.stages.sam6d.propose import SamProposer  # noqa: E402
from sam6d_ros.stages.sam6d.score import DescriptorScorer  # noqa: E402
from sam6d_ros.types import Frame  # noqa: E402

SCENE = Path(__file__).resolve().parents[3] / "shared/real/lmo/test/000000"
MODEL = box_model()

pytestmark = pytest.mark.skipif(not SCENE.is_dir(), reason=f"the real frame is not at {SCENE}")


@pytest.fixture(scope="module")
def frame() -> Frame:
    return load_frame(
        SCENE / "rgb/000001.png", SCENE / "depth/000001.png", SCENE / "scene_camera.json"
    )


def segment(tiny: Any, frame: Frame, **settings: float) -> SamMasks:
    return SamSegmenter(tiny.sam.sam, replace(tiny.config, **settings)).segment(frame.rgb)


def test_masks_boxes_and_scores_have_their_shapes(tiny: Any, frame: Frame) -> None:
    found = segment(tiny, frame)
    count = len(found.scores)
    assert 0 < count <= 27  # three of each of nine prompts
    assert found.masks.shape == (count, 480, 640)
    assert found.masks.dtype == bool
    assert found.boxes.shape == (count, 4)
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert (np.diff(found.scores) <= 0).all()  # best first


def test_each_filter_takes_masks_away(tiny: Any, frame: Frame) -> None:
    every = segment(tiny, frame, box_nms_iou=1.0)
    middle = float(np.median(every.scores))
    good = segment(tiny, frame, box_nms_iou=1.0, min_predicted_iou=middle)
    assert 0 < len(good.scores) < len(every.scores)
    assert (good.scores > middle).all()
    assert len(segment(tiny, frame, box_nms_iou=0.3).scores) < len(every.scores)
    assert len(segment(tiny, frame, box_nms_iou=1.0, min_stability=0.9).scores) < len(every.scores)


@pytest.mark.parametrize("compat", ["legacy", "fixed"])
@pytest.mark.parametrize("strict", [True, False], ids=["no proposals", "proposals"])
def test_the_whole_way_gives_poses_or_the_reason(
    tiny: Any, frame: Frame, compat: str, strict: bool
) -> None:
    config = replace(tiny.config, compat=compat, min_predicted_iou=1.0 if strict else 0.0)
    networks = replace(tiny, config=config, sam=SamSegmenter(tiny.sam.sam, config))
    engine = Engine(
        PipelineConfig(max_instances=2),
        segmentation=Segmentation(SamProposer(networks), DescriptorScorer(networks, context())),
        pose_estimation=PoseEstimation(PemEstimator(networks, context()), KeepPoses()),
    )
    add(engine, MODEL)
    poses = engine.run(frame)
    if strict:
        assert len(poses) == 0
        assert "SAM found no mask with predicted IoU > 1.0" in poses.reason
    else:
        assert len(poses) <= 2
        assert len(poses) or poses.reason
        assert all(0 <= pose.score <= 1 for pose in poses.items)
