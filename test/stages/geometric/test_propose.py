"""Regions: large planes go, what stands on them stays, depth steps part."""

import numpy as np
import pytest
from support.still_life import (
    CAMERA,
    bracket,
    carton,
    maps_of,
    mask_of,
    photograph,
    plain_box,
    standing,
)

from sam6d_ros.stages.geometric.propose import MAX_REGIONS, SegmentProposer, off_planes
from sam6d_ros.stages.geometric.scene import scene_maps
from sam6d_ros.types import Frame, Scene


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def best_iou(proposals, mask):
    return max(iou(region, mask) for region in proposals.masks)


@pytest.mark.parametrize("model", [plain_box(), bracket()], ids=lambda m: m.name)
def test_the_table_goes_and_what_stands_on_it_stays(model):
    pose = standing(model, 0.02, 0.01, 25)
    mask = mask_of(model, pose)
    scene = maps_of((model, pose))
    foreground = off_planes(scene)
    assert foreground[~mask].mean() < 0.005
    assert foreground[mask].mean() > 0.8  # the foot is within the plane's noise


def test_the_box_stays_under_sensor_noise():
    model = plain_box()
    pose = standing(model, 0.02, 0.01, 25)
    frame = photograph([(model, pose)])
    noise = np.random.default_rng(0).normal(size=frame.depth.shape) * 0.002
    noisy = (frame.depth + noise * (frame.depth > 0)).astype(np.float32)
    noisy_frame = Frame(frame.rgb, noisy, CAMERA)
    left = off_planes(scene_maps(noisy_frame))
    assert left[~mask_of(model, pose)].mean() < 0.02, "the table goes all the same"
    regions = SegmentProposer().propose(Scene(noisy_frame))
    assert best_iou(regions, mask_of(model, pose)) > 0.75


def test_every_thing_apart_is_a_region():
    a, b = carton(), bracket()
    places = [(a, standing(a, -0.11, 0, 20)), (b, standing(b, 0.1, 0.02, -50))]
    proposals = SegmentProposer().propose(Scene(photograph(places)))
    assert proposals.masks.shape[1:] == (CAMERA.height, CAMERA.width)
    for model, pose in places:
        assert best_iou(proposals, mask_of(model, pose)) > 0.75
    assert ((proposals.scores > 0) & (proposals.scores <= 1)).all()
    areas = proposals.masks.sum((1, 2))
    assert (np.diff(areas) <= 0).all(), "largest first"


def test_one_before_the_other_are_two_regions():
    """They overlap in the image; the step in depth parts them."""
    model = plain_box()
    front, back = standing(model, 0, -0.08, 20), standing(model, 0.03, 0.1, 20)
    visible_back = mask_of(model, back) & ~mask_of(model, front)
    assert visible_back.sum() < 0.9 * mask_of(model, back).sum()
    proposals = SegmentProposer().propose(Scene(photograph([(model, front), (model, back)])))
    assert best_iou(proposals, mask_of(model, front)) > 0.75
    assert best_iou(proposals, visible_back) > 0.75


def test_an_empty_table_gives_the_reason():
    proposals = SegmentProposer().propose(Scene(photograph([])))
    assert len(proposals) == 0
    assert "nothing stands off" in proposals.reason


def test_no_depth_gives_the_reason():
    frame = photograph([])
    dark = Frame(frame.rgb, np.zeros_like(frame.depth), CAMERA)
    assert SegmentProposer().propose(Scene(dark)).reason


def test_an_object_without_a_table_is_not_taken_for_a_plane():
    model = plain_box()
    pose = standing(model, 0, 0, 0)
    foreground = off_planes(maps_of((model, pose), table=False))
    assert foreground[mask_of(model, pose)].mean() > 0.99


def test_noise_alone_gives_a_bounded_number_of_regions():
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.uniform(0.5, 1.5, (24, 32)), np.ones((10, 10))).astype(np.float32)
    frame = Frame(np.zeros((240, 320, 3), np.uint8), blocks, CAMERA)
    assert len(SegmentProposer().propose(Scene(frame))) <= MAX_REGIONS
