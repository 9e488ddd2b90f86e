"""Every product and convolution of the stages in full float32, whatever the process allows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from support.contexts import add, context

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.geometry.region import Region  # noqa: E402
from sam6d_ros.models.exact import _settings  # noqa: E402
from sam6d_ros.pipeline import PoseEstimation, Segmentation  # noqa: E402
from sam6d_ros.runtime.engine import Engine  # noqa: E402
from sam6d_ros.runtime.warmup import box_model, warm_up_input  # noqa: E402
from sam6d_ros.stages.areas import Area, SearchAreas  # noqa: E402
from sam6d_ros.stages.keep_poses import KeepPoses  # noqa: E402
from sam6d_ros.stages.sam6d.estimate import PemEstimator  # noqa: E402
from sam6d_ros.stages.sam6d.propose import SamProposer  # noqa: E402
from sam6d_ros.stages.sam6d.score import DescriptorScorer  # noqa: E402
from sam6d_ros.types import Scene  # noqa: E402

MODEL = box_model()
# within inference mode composite operators are not taken apart
PRODUCTS = ("mm", "bmm", "addmm", "mv", "addmv", "baddbmm", "matmul", "linear", "einsum")
OTHERS = ("convolution", "conv2d", "conv_transpose2d", "scaled_dot_product_attention")


class Watch(TorchDispatchMode):
    """Counts products by whether they may use TF32 or bf16."""

    def __init__(self) -> None:
        super().__init__()
        self.exact: Counter[bool] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name.split("::")[-1] in (*PRODUCTS, *OTHERS):
            products, convolutions, newer = _settings()
            exact = (products, convolutions) == ("highest", False) and set(newer) <= {"ieee"}
            self.exact[exact] += 1
        return func(*args, **(kwargs or {}))


def test_no_product_of_a_frame_is_left_to_the_process(tiny: Any) -> None:
    """22 golden arrays fail with convolutions in TF32, 99 with products in it."""
    built, (_, frame, detections) = context(), warm_up_input(MODEL)
    proposer, scorer = SamProposer(tiny), DescriptorScorer(tiny, built)
    engine = Engine(
        PipelineConfig(),
        segmentation=Segmentation(proposer, scorer),
        pose_estimation=PoseEstimation(PemEstimator(tiny, built), KeepPoses()),
    )
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with Watch() as seen:
            add(engine, MODEL)
            engine.segment(frame)
            area = Area(Region(20, 20, 60, 60), frozenset({MODEL.name}))
            proposer.propose_in_boxes(Scene(frame), SearchAreas((area,), frozenset()))
            poses = engine.estimate(frame, detections)
    finally:
        torch.set_float32_matmul_precision(before)
    assert len(poses)
    assert seen.exact[False] == 0
    assert seen.exact[True] > 100
