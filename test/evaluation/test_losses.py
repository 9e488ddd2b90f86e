"""Stage at which an instance is lost, from tables of poses."""

import numpy as np
import pytest
from support.still_life import bracket, carton

from sam6d_ros.evaluation.losses import lost_at, smallest_error
from sam6d_ros.geometry import se3

MODEL = bracket()
TRUTH = se3.exp([0.1, 0.0, 0.8, 0.3, -0.2, 0.5])
SEEDS = TRUTH[:3, 3] + np.array([[0.0, 0.0, 0.0]])
STAGES = ("search", "quota", "fit", "compared", "chosen", "refined", "distinct", "turned")


def off(share):
    """Return the truth, displaced by a share of the diameter."""
    out = TRUTH.copy()
    out[0, 3] += share * MODEL.diameter
    return out


def tables(**poses):
    """Return tables with the right pose, but for the stages that are given."""
    found = {stage: np.stack([off(0.02)]) for stage in STAGES}
    return {"seeds": SEEDS} | found | {name: np.stack([pose]) for name, pose in poses.items()}


def test_a_right_pose_that_reaches_the_end_is_lost_by_the_judge():
    assert lost_at(tables(), TRUTH, MODEL) == "judged"


@pytest.mark.parametrize("stage", ["quota", "fit", "chosen", "turned"])
def test_the_first_stage_without_a_near_pose_is_named(stage):
    at = STAGES.index(stage)
    gone = {name: np.zeros((0, 4, 4)) for name in STAGES[at:]}
    assert lost_at(tables() | gone, TRUTH, MODEL) == stage


def test_the_poses_must_be_nearer_in_later_stages():
    assert lost_at(tables(search=off(0.2), quota=off(0.2)), TRUTH, MODEL) == "judged"
    late = {name: off(0.2) for name in STAGES[2:]}
    assert lost_at(tables(**late), TRUTH, MODEL) == "fit"


def test_an_instance_on_which_no_seed_lies_is_lost_there():
    nothing = {name: np.zeros((0, 4, 4)) for name in STAGES}
    far = {"seeds": np.array([[2.0, 0.0, 0.8]])}
    assert lost_at(far | nothing, TRUTH, MODEL) == "seeds"
    assert lost_at({"seeds": SEEDS} | nothing, TRUTH, MODEL) == "search"


def test_the_error_is_the_smallest_over_the_symmetries():
    model = carton()
    turned = TRUTH @ se3.exp([0, 0, 0, 0, 0, np.pi])
    assert smallest_error(np.stack([turned]), TRUTH, model) > 0.2  # its print is not symmetric
    assert smallest_error(np.stack([TRUTH]), TRUTH, model) == pytest.approx(0)
    assert smallest_error(np.zeros((0, 4, 4)), TRUTH, model) == np.inf
