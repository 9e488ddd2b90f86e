"""One rounding rule for pixels: floor(x + 0.5)."""

import re
from pathlib import Path

import numpy as np
import pytest

import sam6d_ros.stages
from sam6d_ros.stages.kernels.common import pixel, pixels

OTHER_RULES = re.compile(r"\bint\([^\n]*\+ 0\.5\)|(np|math)\.floor\([^\n]*\+ 0\.5\)")


@pytest.mark.parametrize(
    ("u", "column"), [(-1.4, -1), (-0.6, -1), (-0.5, 0), (0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3)]
)
def test_a_pixel_reaches_half_a_pixel_to_either_side(u, column):
    assert pixel(u) == pixel.py_func(u) == column
    assert np.floor(u + 0.5) == column
    assert pixels(np.array([u, 0.0])).tolist() == [column, 0]


def test_stages_have_no_other_rule():
    folder = Path(sam6d_ros.stages.__file__).parent
    for path in folder.rglob("*.py"):
        rest = path.read_text().replace("return math.floor(u + 0.5)", "", 1)
        assert not OTHER_RULES.search(rest), path.name
