"""The paired comparison of poses of one instance: only where they differ."""

from dataclasses import replace

import numpy as np
import pytest
from support.still_life import HALF_TURNS, hypotheses, moved, photograph, standing

from sam6d_ros.stages.geometric.evidence import evidence
from sam6d_ros.stages.geometric.judge import shipped_turn_weights
from sam6d_ros.stages.geometric.paired import COLUMNS, gains, shares

LITTLE_WORSE = -0.02  # log quality of the right pose beside that of the turned ones


def judged(kit, frame, poses, log_quality):
    """Return the shares of poses of which nothing else is known than the log quality."""
    columns = np.zeros((len(poses), len(COLUMNS)))
    columns[:, COLUMNS.index("log_quality")] = log_quality
    columns[:, -2:] = gains(evidence(frame), kit, hypotheses(*poses))
    return shares(columns, shipped_turn_weights())


@pytest.fixture(scope="module")
def pose(carton):
    return standing(carton.model, 0.02, 0.03, 25)


@pytest.mark.parametrize("shift_px", [0, 1, 2, 3])
def test_the_print_decides_between_half_turns_in_spite_of_misregistration(carton, pose, shift_px):
    frame = photograph([(carton.model, pose)])
    shifted = replace(frame, rgb=np.roll(frame.rgb, shift_px, axis=(0, 1)[shift_px % 2]))
    found = judged(carton, shifted, pose @ HALF_TURNS, [LITTLE_WORSE, 0, 0, 0])
    assert found.argmax() == 0
    assert found[0] > 0.5


def test_the_shape_decides_where_only_a_part_differs(bracket):
    pose = standing(bracket.model, 0.0, 0.02, 20)
    half_turn = moved(pose, (0, 0, 0), (0, 0, 0)) @ HALF_TURNS[3]
    frame = photograph([(bracket.model, pose)])
    found = judged(bracket, frame, [half_turn, pose], [0, LITTLE_WORSE])
    assert found.argmax() == 1


def test_equal_renderings_share_equally(plain_box):
    pose = standing(plain_box.model, 0.02, 0.03, 25)
    frame = photograph([(plain_box.model, pose)])
    found = judged(plain_box, frame, pose @ HALF_TURNS[[0, 3]], [0, 0])
    assert found == pytest.approx([0.5, 0.5], abs=0.02)


def test_the_order_of_the_poses_does_not_matter(carton, pose):
    frame = photograph([(carton.model, pose)])
    poses, quality = pose @ HALF_TURNS, np.array([LITTLE_WORSE, 0, -0.1, 0])
    order = [2, 0, 3, 1]
    found = judged(carton, frame, poses, quality)
    assert judged(carton, frame, poses[order], quality[order]) == pytest.approx(found[order])
    assert found.sum() == pytest.approx(1)


def test_what_one_pose_gains_the_others_lose(carton, pose):
    frame = photograph([(carton.model, pose)])
    found = gains(evidence(frame), carton, hypotheses(*(pose @ HALF_TURNS)))
    assert found.sum(0) == pytest.approx([0, 0])
    assert (found[0, 1] > found[1:, 1]).all()  # by its print; the shape is the same


def test_one_pose_has_the_whole_share(carton, pose):
    frame = photograph([(carton.model, pose)])
    assert judged(carton, frame, [pose], [0]).tolist() == [1]


def test_the_print_decides_in_dim_light(carton, pose):
    frame = photograph([(carton.model, pose)])
    dim = replace(frame, rgb=(frame.rgb * 0.15).astype(np.uint8))
    found, bright = (
        gains(evidence(seen), carton, hypotheses(*(pose @ HALF_TURNS)))[:, 1]
        for seen in (dim, frame)
    )
    assert found.argmax() == 0
    assert found[0] - found[1:].max() > 0.2 * (bright[0] - bright[1:].max())
