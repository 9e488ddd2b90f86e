"""`Boxes` check themselves, whoever gives them."""

import numpy as np
import pytest

from sam6d_ros.errors import InvalidInput
from sam6d_ros.types import Boxes


def boxes(**changes) -> Boxes:
    parts = {
        "xyxy": np.array([[0, 1, 8, 6]], np.float32),
        "labels": ("mug",),
        "scores": np.array([0.5], np.float32),
        "masks": np.zeros((1, 6, 8), bool),
        "stamp_ns": 7,
    }
    return Boxes(**{**parts, **changes})


def test_sound_boxes_and_none_are_accepted():
    assert (len(boxes()), len(boxes(masks=None)), len(Boxes.empty(9))) == (1, 1, 0)
    assert Boxes.empty(9).stamp_ns == 9


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ("mug", "can")}, "2 labels"),
        ({"xyxy": np.zeros((1, 5), np.float32)}, r"\(1, 5\)"),
        ({"xyxy": np.array([[0, 1, 8, 6]])}, "float32"),
        ({"xyxy": np.array([[0, np.nan, 8, 6]], np.float32)}, "NaN"),
        ({"xyxy": np.array([[9, 1, 8, 6]], np.float32)}, "before it begins"),
        ({"scores": np.array([np.nan], np.float32)}, r"not all in \[0, 1\]"),
        ({"scores": np.array([1.5], np.float32)}, r"not all in \[0, 1\]"),
        ({"masks": np.zeros((2, 6, 8), bool)}, "masks are"),
        ({"masks": np.zeros((1, 6, 8), np.uint8)}, "masks are"),
    ],
)
def test_unsound_boxes_are_refused_with_the_value(changes, reason):
    with pytest.raises(InvalidInput, match=reason):
        boxes(**changes)
