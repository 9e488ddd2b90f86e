"""Detections of several objects in one run of the pose network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.contexts import context

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.runtime.warmup import box_model, warm_up_input  # noqa: E402
from sam6d_ros.stages.sam6d.estimate import PemEstimator  # noqa: E402
from sam6d_ros.types import Detections, Scene  # noqa: E402

MODEL = box_model()


def test_objects_share_one_run_of_the_network(tiny: Any) -> None:
    """On a GPU; one call per object made 16 objects cost 16 runs of 1200 launches."""
    _, frame, detections = warm_up_input(MODEL)
    small = box_model((0.06, 0.1, 0.14))
    other = replace(small, name="other", content_hash="other")
    both = [
        replace(d, class_id=n, instance_id="")
        for n in (MODEL.name, "other")
        for d in detections.items
    ]
    given = Detections(tuple(both * 2))
    found, calls = [], []
    hook = tiny.pem.feature_extraction.register_forward_hook(lambda *_: calls.append(1))
    try:
        for mix in (False, True):
            estimator = PemEstimator(tiny, context())
            for model in (MODEL, other):
                estimator.prepare(model)
            calls.clear()
            estimator.mix_objects = mix
            poses = estimator.estimate(Scene(frame), given, [MODEL, other])
            found.append(sorted(poses.items, key=lambda p: (p.class_id, p.instance_id)))
            assert len(calls) == (1 if mix else 2)
    finally:
        hook.remove()
    assert len(found[0]) == 4
    for apart, together in zip(*found, strict=True):
        assert apart.class_id == together.class_id
        assert np.allclose(apart.cam_from_obj, together.cam_from_obj, atol=1e-4)
