"""Values of pixels: what is a measurement, units, channels, deep colour."""

import numpy as np
import pytest

from sam6d_ros.errors import InvalidFrame
from sam6d_ros.frames.pixels import colour_8_bits, depth_metres


def test_millimetres_and_metres():
    assert depth_metres(np.array([[700]], np.uint16), None).tolist() == [[np.float32(0.7)]]
    assert depth_metres(np.array([[0.7]], np.float32), None).tolist() == [[np.float32(0.7)]]
    assert depth_metres(np.array([[7000]], np.uint16), 0.1)[0, 0] == pytest.approx(0.7)
    assert depth_metres(np.array([[700.0]]), 1.0)[0, 0] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 65535], np.uint16),
        ([0, -1, -32768], np.int16),
        ([0, 2**32 - 1], np.uint32),
        ([0, -1, 1e10, np.nan, np.inf, -np.inf, 1e5], np.float32),
    ],
)
def test_markers_are_no_measurement(values, dtype):
    assert not depth_metres(np.array([values], dtype), None).any()


def test_markers_are_judged_in_metres():
    """Float millimetres of a far scene are no markers."""
    assert depth_metres(np.array([[2e5]]), 1.0)[0, 0] == pytest.approx(200)
    assert depth_metres(np.array([[1e9]]), 1.0)[0, 0] == 0


def test_equal_channels_are_one():
    one = np.arange(1, 13, dtype=np.uint16).reshape(3, 4)
    np.testing.assert_array_equal(
        depth_metres(np.repeat(one[..., None], 3, 2), None), depth_metres(one, None)
    )
    with pytest.raises(InvalidFrame, match="swapped"):
        depth_metres(np.stack([one, one, one + 1], 2), None)


@pytest.mark.parametrize("scale", [0.001, 0.00025, 0.005, 1e-6])
def test_a_scale_in_metres_is_named(scale):
    with pytest.raises(InvalidFrame, match="millimetres per unit"):
        depth_metres(np.array([[700]], np.uint16), scale)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_cannot_be_is_refused(scale):
    with pytest.raises(InvalidFrame, match="positive"):
        depth_metres(np.array([[700]], np.uint16), scale)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_deep_colour_is_scaled_by_its_real_range(bits):
    levels = np.linspace(0, 2**bits - 1, 12).round().astype(np.uint16).reshape(3, 4)
    expected = np.floor(levels * (255 / (2**bits - 1)) + 0.5)
    np.testing.assert_array_equal(colour_8_bits(levels), expected)


def test_colour_of_8_bits_stays():
    image = np.zeros((2, 2, 3), np.uint8)
    assert colour_8_bits(image) is image
    with pytest.raises(InvalidFrame, match="float32"):
        colour_8_bits(image.astype(np.float32))
