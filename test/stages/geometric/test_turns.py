"""Near-symmetric rotations: each is tried once."""

import numpy as np
import pytest

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.cad.onboard import onboard_mesh
from sam6d_ros.evaluation.synthetic.patches import disc, join, lathe
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.stages.geometric.turns import ROUND_STEP, turns_of


@pytest.fixture(scope="module")
def can():
    made = join(lathe([(0.03, 0.1), (0.03, 0)], (90, 90, 90)), disc(0.03, 0.1, (90, 90, 90)))
    return onboard_mesh(Mesh(made.vertices, made.faces, made.colors), "can")


def angles(turns):
    upper = np.triu_indices(len(turns), 1)
    return np.array([se3.rotation_angle(turns[i], turns[j]) for i, j in zip(*upper, strict=True)])


def test_turns_about_an_axis_of_symmetry_are_tried_once(can):
    turns = turns_of(can)
    assert angles(turns).min() > 0.9 * ROUND_STEP
    assert len(turns) >= 24 + 2 * 11


def test_half_turns_of_a_box_are_tried_once():
    turns = turns_of(box_model((0.03, 0.05, 0.08)))
    assert angles(turns).min() > 0.9 * ROUND_STEP
    assert len(turns) == 34  # itself, and eleven about each axis
