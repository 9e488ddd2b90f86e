"""Time budget of a frame: the most likely objects first, the others are named."""

from dataclasses import replace

import numpy as np
import pytest
from support.still_life import bracket, carton, maps_of, mask_of, photograph, standing

from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.stages.geometric.kit import kit_of
from sam6d_ros.stages.geometric.likely import likely_first
from sam6d_ros.stages.geometric.propose import SegmentProposer
from sam6d_ros.stages.geometric.score import TemplateScorer
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.types import Scene

pytestmark = pytest.mark.slow  # searches in images

CARTON, BRACKET = carton(), bracket()
ABSENT = replace(box_model((0.5, 0.02, 0.02)), name="rod")
MODELS = [ABSENT, BRACKET, CARTON]
NAMES = {model.name for model in MODELS}


@pytest.fixture(scope="module")
def frame():
    return photograph([(CARTON, standing(CARTON, 0.0, 0.0, 30))])


def scorer(budget_s, seconds):
    """Return a scorer whose clock shows these times, one after the other."""
    times = iter(seconds)
    config = PipelineConfig(backend="geometric", budget_s=budget_s)
    return TemplateScorer(BuildContext(config), lambda: next(times))


def score(stage, frame):
    scene = Scene(frame)
    limits = dict.fromkeys(NAMES, 1)
    return stage.score(scene, SegmentProposer().propose(scene), MODELS, limits)


def test_what_a_region_resembles_is_searched_first(frame, context):
    labels = mask_of(CARTON, standing(CARTON, 0.0, 0.0, 30)).astype(np.int32)
    scene = maps_of((CARTON, standing(CARTON, 0.0, 0.0, 30)))
    kits = [kit_of(model, context) for model in MODELS]
    assert likely_first(scene, labels, kits)[0] == MODELS.index(CARTON)
    assert likely_first(scene, 0 * labels, kits) == [0, 1, 2]


def test_objects_without_time_are_named(frame):
    found = score(scorer(1.0, [0.0, 2.0, 2.0, 2.0]), frame)
    assert {item.class_id for item in found.items} == {"carton"}
    assert set(found.unsearched) == NAMES - {"carton"}


def test_with_time_enough_all_are_searched(frame):
    assert score(scorer(9.0, [0.0, 1.0, 1.0, 1.0]), frame).unsearched == ()


def test_the_result_says_what_was_not_searched(frame, tmp_path):
    config = PipelineConfig(backend="geometric", budget_s=1e-6)
    objects = ObjectSet({model.name: model for model in MODELS})
    found = build_engine(EngineSpec(config, tmp_path, objects=objects)).run(frame)
    skipped = {item.class_id for item in found.rejected if "budget_s" in item.reason}
    assert skipped == NAMES - {"carton"}


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(InvalidConfig, match="budget_s is 0; expected a number above 0"):
        PipelineConfig(budget_s=0)
