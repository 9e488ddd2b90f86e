"""Boxes from the ground truth, as a detector would give them."""

import numpy as np
from support.still_life import carton, mask_of, photograph, standing

from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.evaluation.truth_boxes import boxes_of_truth
from sam6d_ros.types import Detection

CARTON = carton()
FRONT, BACK = standing(CARTON, 0.0, -0.05, 20), standing(CARTON, 0.03, 0.1, -50)
FRAME = photograph([(CARTON, FRONT), (CARTON, BACK)])
TRUTH = [GroundTruth(7, pose) for pose in (FRONT, BACK)]


def test_boxes_enclose_the_visible_pixels():
    boxes = boxes_of_truth(FRAME, [*TRUTH, GroundTruth(8, FRONT)], {7: CARTON})
    assert boxes.labels == ("carton", "carton")
    hidden = mask_of(CARTON, FRONT)
    for xyxy, mask in zip(boxes.xyxy, (hidden, mask_of(CARTON, BACK) & ~hidden), strict=True):
        x, y, width, height = Detection("carton", 1.0, mask).bbox_xywh
        assert np.abs(xyxy - [x, y, x + width, y + height]).max() <= 2


def test_jitter_moves_each_edge_by_a_share_of_the_size():
    exact = boxes_of_truth(FRAME, TRUTH, {7: CARTON}).xyxy
    moved = boxes_of_truth(FRAME, TRUTH, {7: CARTON}, 0.1, np.random.default_rng(1)).xyxy
    size = np.tile(exact[:, 2:] - exact[:, :2], 2)
    share = np.abs(moved - exact) / size
    assert (share > 0).all()
    assert (share <= 0.1 + 1e-6).all()
