"""The input tensor: what is where, with which values; boxes find the way back."""

from dataclasses import replace
from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from sam6d_ros.detectors.manifest import FITS, InputSpec
from sam6d_ros.detectors.preprocess import prepare, tensor_shape
from sam6d_ros.errors import InvalidInput

SIZES = st.integers(1, 90)


def spec_of(fit: str, height: int = 64, width: int = 48, **more) -> InputSpec:
    return InputSpec(None if fit == "keep" else (height, width), fit, **more)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FITS), SIZES, SIZES, SIZES, SIZES)
def test_boxes_come_back_and_the_image_lies_inside_the_tensor(fit, h, w, rows, cols):
    spec = spec_of(fit, rows, cols)
    tensor, placement = prepare(np.full((h, w, 3), 200, np.uint8), spec)
    whole = np.array([[0, 0, w, h]], float)
    there = placement.to_tensor(whole)
    assert np.allclose(placement.to_image(there), whole)
    assert tensor.shape[1:] == (spec.size_hw or (h, w))
    assert (there >= -1e-9).all()
    assert there[0, 2] <= tensor.shape[2] + 1e-9
    assert there[0, 3] <= tensor.shape[1] + 1e-9
    left, top, right, bottom = np.rint(there[0]).astype(int)
    inside = np.zeros(tensor.shape[1:], bool)
    inside[top:bottom, left:right] = True
    assert np.allclose(tensor[:, inside], 200 / 255, atol=1e-6)
    assert not tensor[:, ~inside].any()  # padded with 0


@pytest.mark.parametrize(("fit", "factor"), list(product(FITS, [2, 3])))
def test_a_drawn_rectangle_is_found_where_the_placement_says(fit, factor):
    image = np.zeros((60, 90, 3), np.uint8)
    image[12:30, 30:60] = 255
    spec = spec_of(fit, 60 * factor, 150 * factor)
    tensor, placement = prepare(image, spec)
    rows, cols = np.nonzero(tensor[0] > 0.5)
    found = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
    assert np.allclose(placement.to_image(np.array([found])), [[30, 12, 60, 30]], atol=0.7)


def test_values_are_scaled_shifted_and_ordered():
    image = np.zeros((4, 4, 3), np.uint8)
    image[...] = (10, 20, 40)
    spec = InputSpec(scale=0.1, mean=(1, 2, 3), std=(1, 2, 4))
    tensor, _ = prepare(image, spec)
    assert np.allclose(tensor[:, 1, 1], [0, 0, 0.25])
    turned, _ = prepare(image, InputSpec(scale=1.0, order="bgr"))
    assert turned[:, 1, 1].tolist() == [40, 20, 10]
    assert turned.dtype == np.float32
    assert turned.flags.c_contiguous


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_a_given_tensor_gets_the_values_of_the_plain_formula(fit, order):
    random = np.random.default_rng(3)
    image = random.integers(0, 256, (37, 50, 3), dtype=np.uint8)
    scale, mean, std = 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    spec = spec_of(fit, scale=scale, mean=mean, std=std, order=order, pad=114)
    shape = tensor_shape(image, spec)
    plain, _ = prepare(image, replace(spec, scale=1.0, mean=(0, 0, 0), std=(1, 1, 1)))
    wanted = (plain.transpose(1, 2, 0) * np.float32(scale) - np.float32(mean)) / np.float32(std)
    out = np.full((2, *shape), np.nan, np.float32)[1]
    tensor, placement = prepare(image, spec, out)
    assert tensor is out
    assert tensor.shape == shape
    assert np.array_equal(tensor, wanted.transpose(2, 0, 1))
    fresh, same = prepare(image, spec)
    assert np.array_equal(fresh, tensor)
    assert same == placement


def test_a_kept_size_is_padded_to_the_multiple():
    tensor, placement = prepare(np.full((33, 64, 3), 255, np.uint8), InputSpec(multiple=32, pad=51))
    assert tensor.shape == (3, 64, 64)
    assert np.allclose(tensor[:, 33:], 0.2)
    assert placement.to_image(np.array([[1, 2, 3, 4]])).tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_colour_image_is_refused(image):
    with pytest.raises(InvalidInput, match="image is"):
        prepare(image, InputSpec())
