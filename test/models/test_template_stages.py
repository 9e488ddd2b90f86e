"""The stages of the sam6d backend with template files in place of rendered views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.contexts import context

pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from support.template_folder import write_templates, write_view

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.template_files import with_templates
from sam6d_ros.runtime.warmup import box_model, warm_up_input
from sam6d_ros.stages.sam6d import views
from sam6d_ros.stages.sam6d.estimate import PemEstimator
from sam6d_ros.stages.sam6d.score import DescriptorScorer
from sam6d_ros.stages.sam6d.template_views import view_numbers
from sam6d_ros.types import Scene

MODEL = box_model()


def test_template_files_take_the_place_of_rendered_views(tiny: Any, tmp_path: Path) -> None:
    """Files of the rendered views give what the rendered views give; others do not."""
    config = tiny.config
    _, frame, detections = warm_up_input(MODEL)
    folder = write_templates(tmp_path / "templates", MODEL)
    rendered = views.render_views(MODEL, config.views, config.seed)
    for number, view in zip(view_numbers(config.views), rendered, strict=True):
        write_view(folder, int(number), view)
    with_files = with_templates(MODEL, folder)
    for shown, read in zip(
        rendered, views.template_views(with_files, config.views, config.seed), strict=True
    ):
        assert np.array_equal(shown.rgb * shown.mask[..., None], read.rgb)
        assert np.array_equal(shown.mask, read.mask)
        assert np.array_equal(shown.points_obj[shown.mask], read.points_obj[read.mask])
        assert np.array_equal(shown.cam_from_obj, read.cam_from_obj)

    def results(model: ObjectModel, cache_dir: Path) -> tuple[np.ndarray, np.ndarray]:
        poses = PemEstimator(tiny, context(cache_dir)).estimate(Scene(frame), detections, [model])
        known = DescriptorScorer(tiny, context(cache_dir))._templates(model)
        return poses.items[0].cam_from_obj, known.descriptors.classes.numpy()

    plain, same = results(MODEL, tmp_path), results(with_files, tmp_path)
    assert all(np.array_equal(one, other) for one, other in zip(plain, same, strict=True))
    write_templates(folder, MODEL)  # small and of one colour
    other = results(with_templates(MODEL, folder), tmp_path)
    assert not np.allclose(plain[1], other[1])
    assert not np.array_equal(plain[0], other[0])
