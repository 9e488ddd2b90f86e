"""Shares of the poses of an instance: the fit of their weights."""

import numpy as np
import pytest

from sam6d_ros.stages.geometric.paired import shares
from training.turns import fit_turns

RIGHT, WRONG, BETWEEN = 0.02, 0.5, 0.12  # errors in diameters


def drawn(rng, count, weights, poses=4):
    """Return instances of which one pose is right, drawn by its share."""
    found = []
    for _ in range(count):
        columns = rng.normal(size=(poses, len(weights)))
        error = np.full(poses, WRONG)
        error[rng.choice(poses, p=shares(columns, np.array(weights)))] = RIGHT
        found.append((columns, error))
    return found


def test_the_fit_recovers_known_weights():
    found = fit_turns(drawn(np.random.default_rng(0), 4000, (1.0, -0.5, 2.0)))
    assert found == pytest.approx([1.0, -0.5, 2.0], abs=0.15)


def test_what_only_shifts_all_poses_of_an_instance_says_nothing():
    rng = np.random.default_rng(1)
    told = drawn(rng, 500, (1.0, 0.5))
    shifted = [(columns + rng.normal(size=2) * 0.1, error) for columns, error in told]
    assert fit_turns(shifted) == pytest.approx(fit_turns(told), abs=0.01)


def test_an_instance_without_a_right_pose_and_a_pose_between_are_not_learned_from():
    rng = np.random.default_rng(2)
    told = drawn(rng, 300, (1.0, 0.5))
    hopeless = [(columns, np.full(4, WRONG)) for columns, _ in drawn(rng, 100, (3.0, 3.0))]
    unclear = [
        (np.vstack([columns, [9.0, 9.0]]), np.append(error, BETWEEN)) for columns, error in told
    ]
    assert fit_turns(told + hopeless) == pytest.approx(fit_turns(told), rel=1e-3)
    assert fit_turns(unclear) == pytest.approx(fit_turns(told), rel=1e-3)


def test_scenes_that_say_nothing_are_refused():
    with pytest.raises(ValueError, match="no instance has both right and wrong poses"):
        fit_turns([(np.zeros((2, 2)), np.array([RIGHT, RIGHT]))])
