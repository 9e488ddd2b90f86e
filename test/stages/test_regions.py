"""Looking in a region of the image only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.still_life import CAMERA, carton, errors, mask_of, photograph, standing

from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry.region import Region
from sam6d_ros.pipeline import Record, RunContext
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.stages.regions import detections_in_region, proposals_in_region
from sam6d_ros.types import Detection, Detections, Proposals

CARTON = carton()
POSES = [standing(CARTON, -0.1, 0, 20), standing(CARTON, 0.12, 0.03, -50)]
FRAME = photograph([(CARTON, pose) for pose in POSES])
SHAPE = (CAMERA.height, CAMERA.width)


def box_of(pose):
    """The tight region around the carton."""
    return Region(*Detection("carton", 1.0, mask_of(CARTON, pose)).bbox_xywh)


@pytest.fixture(scope="module")
def engine(views_cache):
    config, objects = PipelineConfig(backend="geometric"), ObjectSet({CARTON.name: CARTON})
    return build_engine(EngineSpec(config, views_cache, objects=objects))


@pytest.mark.parametrize("number", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_only_the_instance_in_the_region_is_found_with_an_unchanged_pose(engine, number):
    record, everywhere = Record(), Record()
    region = box_of(POSES[number])
    detections = engine.segment(FRAME, region=region, ctx=RunContext(record=record))
    poses = engine.estimate(FRAME, detections).items
    assert len(poses) == 1
    shift, angle = errors(poses[0].cam_from_obj, POSES[number])
    assert shift < 0.002
    assert angle < 1.5
    engine.segment(FRAME, ctx=RunContext(record=everywhere))
    assert len(record.proposals) < len(everywhere.proposals)


def test_an_object_on_the_edge_is_found_whole_when_most_of_it_lies_inside(engine):
    """The right 30 % of the carton lie outside."""
    full = box_of(POSES[0])
    most = Region(full.x, full.y, round(0.7 * full.width), full.height)
    (detection,) = engine.segment(FRAME, region=most).items
    silhouette = mask_of(CARTON, POSES[0])
    assert (detection.mask & silhouette).sum() > 0.9 * silhouette.sum()
    less = Region(full.x, full.y, round(0.3 * full.width), full.height)
    none = engine.segment(FRAME, region=less)
    assert not len(none)
    assert "outside the region" in none.reason


def test_a_region_of_bare_table_says_that_nothing_stands_out(engine):
    detections = engine.segment(FRAME, region=Region(0, 220, 20, 20))
    assert detections.reason == "nothing stands out in the region 20×20 at (0, 220)"


def test_a_region_beyond_the_image_is_refused(engine):
    with pytest.raises(InvalidInput, match="reaches beyond the image of 320×240"):
        engine.segment(FRAME, region=Region(300, 0, 21, 10))
    for bad in [(0, 0, 0, 5), (0, 0, 5, -1), (-1, 0, 5, 5)]:
        with pytest.raises(InvalidInput, match="no region"):
            Region(*bad)


@given(st.integers(0, 2**31))
def test_what_is_kept_reaches_into_the_region_and_never_grows(seed):
    rng = np.random.default_rng(seed)
    x, y = int(rng.integers(0, 30)), int(rng.integers(0, 20))
    region = Region(x, y, int(rng.integers(1, 40 - x)), int(rng.integers(1, 30 - y)))
    masks = rng.random((5, 30, 40)) < rng.choice([0, 0.001, 0.2])
    kept = proposals_in_region(Proposals(masks, np.arange(5, dtype=np.float32) / 8), region)
    assert len(kept) == masks[(slice(None), *region.slices)].any((1, 2)).sum()
    for mask, number in zip(kept.masks, (8 * kept.scores).astype(int), strict=True):
        assert not (mask & ~masks[number]).any()
        assert (mask == masks[number])[region.slices].all()
    assert bool(kept.reason) == (len(kept) == 0)
    whole = Region(0, 0, 40, 30)
    filled = Detections(tuple(Detection("a", 1.0, mask) for mask in masks if mask.any()))
    assert detections_in_region(filled, whole).items == filled.items
