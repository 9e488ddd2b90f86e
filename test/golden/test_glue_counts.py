"""Counting of template pixels, beyond the masks of the golden files."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the golden checks need torch: make setup-sam6d")

from golden_glue import pixels_in_box


def test_pixels_that_the_square_box_cuts_off_are_not_counted():
    mask = np.zeros((40, 60), bool)
    mask[10:21, 5:16] = True  # an odd side loses one row and one column
    assert mask.sum() == 121
    assert pixels_in_box(mask) == 100
