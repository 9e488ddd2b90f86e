"""Laws of the run-length encoding, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import rle

MASKS = arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(MASKS)
def test_decoding_gives_the_mask_back(mask):
    assert np.array_equal(rle.decode(rle.encode(mask)), mask)
    assert np.array_equal(rle.decode(rle.encode_runs(mask)), mask)


@given(MASKS)
def test_both_forms_are_those_of_pycocotools(mask):
    text = rle.encode(mask)
    assert np.array_equal(coco_mask.decode({**text, "counts": text["counts"].encode()}), mask)
    runs = rle.encode_runs(mask)
    assert coco_mask.frPyObjects(runs, *mask.shape)["counts"].decode() == text["counts"]


def test_long_runs_survive():
    mask = np.zeros((3000, 4000), bool)
    mask[100:2900, 1500:3000] = True
    mask[0, 0] = True
    assert np.array_equal(rle.decode(rle.encode(mask)), mask)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"size": [2, 2]},
        {"size": [2, 2], "counts": [1, 2]},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2**31, 2**31], "counts": [1]},
        {"size": [-1, -4], "counts": [4]},
        {"size": [2], "counts": [2]},
        {"size": [2, 2], "counts": "not ascii é"},
        {"size": [2, 2], "counts": "o" * 100},
        {"size": [2, 2], "counts": None},
        {"size": "22", "counts": [[4]]},
        5,
    ],
)
def test_what_is_no_mask_is_refused(value):
    with pytest.raises(InvalidInput, match="the mask"):
        rle.decode(value)


@given(st.text(max_size=30), st.integers(1, 50), st.integers(1, 50))
def test_any_text_gives_a_mask_or_a_reason(text, height, width):
    try:
        mask = rle.decode({"size": [height, width], "counts": text})
    except InvalidInput:
        return
    assert mask.shape == (height, width)


@pytest.mark.parametrize(
    "counts",
    [
        [2**62] * 4 + [0, 307200],  # the sum wraps around to the right one
        [2**63 - 1, 2**63 - 1, 307202],
        [0] * 307202 + [307200],
    ],
)
def test_runs_that_wrap_around_are_refused(counts):
    with pytest.raises(InvalidInput):
        rle.decode({"size": [480, 640], "counts": counts})
