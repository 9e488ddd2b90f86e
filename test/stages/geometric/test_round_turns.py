"""Near-symmetric rotations that go on: more of a round shape, whose angle only a print shows."""

from dataclasses import replace

import numpy as np
import pytest
from support.still_life import can, hypotheses, mask_of, photograph, plain_box, standing

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.stages.geometric import flow
from sam6d_ros.stages.geometric.evidence import evidence
from sam6d_ros.stages.geometric.kit import kit_of

AXIS = Symmetries(axes=np.array([[(0.0, 0.0, 1.0), (0.0, 0.0, 0.0)]]))
PLAIN_CAN = replace(can(colored=False), shape_symmetries=AXIS)


@pytest.mark.parametrize(
    ("model", "most"), [(PLAIN_CAN, flow.ROUND_TURNED), (plain_box(), flow.TURNED)]
)
def test_equal_rotations_go_on_up_to_the_quota_of_the_shape(model, most, context):
    pose = standing(model, 0.02, 0.03, 25)
    view = evidence(photograph([(model, pose)]))
    maps = view.maps(mask_of(model, pose).astype(np.int32))
    found = flow.best_turns(view, maps, kit_of(model, context), hypotheses(pose))
    assert len(found) == most + 1  # and the pose itself
