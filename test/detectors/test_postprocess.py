"""Decoding, suppression and the mapping to the image, for every layout."""

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from sam6d_ros.detectors.manifest import InputSpec, Manifest
from sam6d_ros.detectors.postprocess import box_iou, suppress, to_boxes
from sam6d_ros.detectors.preprocess import Placement
from sam6d_ros.errors import InvalidInput

NAMES = ("a", "b", "c")
PLAIN = Manifest("m", NAMES)
WHOLE = Placement((100, 200))


def outputs(boxes, labels, scores):
    return [np.array(boxes, np.float32), np.array(labels), np.array(scores, np.float32)]


def test_boxes_are_named_sorted_clipped_and_cut_at_the_threshold():
    found = to_boxes(
        outputs(
            [[-5, 10, 50, 40], [0, 0, 9, 9], [150, 50, 260, 120], [300, 0, 310, 9]],
            [2, 0, 1, 0],
            [0.6, 0.4, 0.9, 0.8],  # the second is too weak, the last outside
        ),
        PLAIN,
        WHOLE,
        0.5,
    )
    assert found.labels == ("b", "c")
    assert found.xyxy.tolist() == [[150, 50, 200, 100], [0, 10, 50, 40]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.6])


def test_the_threshold_is_inclusive_and_padding_never_shown():
    rows = outputs([[0, 0, 9, 9], [0, 0, 8, 8]], [0, 0], [0.5, 0.0])
    assert len(to_boxes(rows, PLAIN, WHOLE, 0.5)) == 1
    assert len(to_boxes(rows, PLAIN, WHOLE, 0.0)) == 1


def test_an_image_without_boxes_gives_none():
    assert len(to_boxes(outputs(np.zeros((0, 4)), [], []), PLAIN, WHOLE, 0.5)) == 0


def test_a_class_without_label_and_wrong_outputs_are_named():
    with pytest.raises(InvalidInput, match="class 3 and has 3 labels"):
        to_boxes(outputs([[0, 0, 9, 9]], [3], [0.9]), PLAIN, WHOLE, 0.5)
    with pytest.raises(InvalidInput, match="expected boxes"):
        to_boxes([np.zeros((2, 5))], PLAIN, WHOLE, 0.5)


@pytest.mark.parametrize(
    ("placement", "tensor_hw"),
    [
        (Placement((100, 200)), (128, 224)),  # kept, padded right and below
        (Placement((100, 200), (0.5, 0.5), (10, 25)), (100, 120)),  # in the middle
        (Placement((100, 200), (2.0, 1.0)), (100, 400)),  # stretched
    ],
)
@pytest.mark.parametrize("channel", [False, True])
def test_masks_follow_their_boxes_into_the_image(placement, tensor_hw, channel):
    image_boxes = np.array([[20, 10, 80, 50], [100, 60, 180, 90]], float)
    xyxy = placement.to_tensor(image_boxes)
    masks = np.zeros((2, *tensor_hw), np.float32)
    for mask, (left, top, right, bottom) in zip(masks, xyxy.round().astype(int), strict=True):
        mask[top:bottom, left:right] = 0.9
    given = [*outputs(xyxy, [0, 1], [0.6, 0.9]), masks[:, None] if channel else masks]
    found = to_boxes(given, Manifest("m", NAMES, layout="masks"), placement, 0.5)
    assert found.labels == ("b", "a")
    assert found.masks is not None
    assert found.masks.shape == (2, 100, 200)
    for mask, (left, top, right, bottom) in zip(found.masks, image_boxes[::-1], strict=True):
        expected = np.zeros((100, 200), bool)
        expected[int(top) : int(bottom), int(left) : int(right)] = True
        assert (mask ^ expected).sum() < 0.1 * expected.sum()  # the border of the larger pixels


def test_masks_that_do_not_fit_their_boxes_are_refused():
    given = outputs([[0, 0, 9, 9]], [0], [0.9])
    for more in ([], [np.zeros((2, 100, 200))], [np.zeros((1, 2, 100, 200))]):
        with pytest.raises(InvalidInput, match="for 1 boxes; expected a fourth output"):
            to_boxes([*given, *more], Manifest("m", NAMES, layout="masks"), WHOLE, 0.5)
    empty = [*outputs(np.zeros((0, 4)), [], []), np.zeros((0, 100, 200))]
    assert len(to_boxes(empty, Manifest("m", NAMES, layout="masks"), WHOLE, 0.5)) == 0


def yolox_rows(manifest: Manifest, box, place_class: int, score: float):
    """Encode one box as the network would, at the cell of its centre on the 8-pixel grid."""
    height, width = manifest.input.size_hw
    count = sum((height // s) * (width // s) for s in (8, 16, 32))
    rows = np.zeros((count, 5 + len(NAMES)), np.float32)
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    col, row = int(x // 8), int(y // 8)
    place = row * (width // 8) + col
    rows[place, :4] = [x / 8 - col, y / 8 - row, *np.log([(box[2] - box[0]) / 8] * 2)]
    rows[place, 3] = np.log((box[3] - box[1]) / 8)
    rows[place, 4], rows[place, 5 + place_class] = 1.0, score
    return rows


def test_the_three_layouts_agree_on_one_box():
    form = InputSpec((96, 160), "corner")
    placement = Placement((48, 80), (2.0, 2.0))
    box = [20.0, 10.0, 60.0, 44.0]  # tensor pixels
    columns = np.zeros((7, 9), np.float32)
    columns[:, 4] = [40, 27, 40, 34, 0, 0.8, 0]
    yolox = Manifest("x", NAMES, form, "yolox")
    by_layout = {
        "boxes": outputs([box], [1], [0.8]),
        "yolov8": [columns],
        "yolox": [yolox_rows(yolox, box, 1, 0.8)],
    }
    for layout, rows in by_layout.items():
        found = to_boxes(rows, Manifest("m", NAMES, form, layout), placement, 0.5)
        assert found.labels == ("b",), layout
        assert np.allclose(found.xyxy, [[10, 5, 30, 22]], atol=1e-4), layout
        assert found.scores == pytest.approx([0.8]), layout


def test_suppression_is_within_a_class():
    twice = outputs([[0, 0, 40, 40], [1, 0, 41, 40], [2, 0, 42, 40]], [0, 0, 1], [0.7, 0.9, 0.8])
    once = to_boxes(twice, Manifest("m", NAMES, nms_iou=0.5), WHOLE, 0.1)
    assert once.labels == ("a", "b")
    assert once.xyxy[0].tolist() == [1, 0, 41, 40]
    assert len(to_boxes(twice, PLAIN, WHOLE, 0.1)) == 3


CORNERS = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 12), st.just(4)), elements=st.floats(0, 9)
)


@settings(max_examples=60, deadline=None)
@given(CORNERS, st.randoms())
def test_suppression_leaves_a_maximal_set_without_overlap(corners, random):
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    scores = np.array([random.random() for _ in boxes])
    kept = suppress(boxes, scores, np.zeros(len(boxes), int), 0.3)
    assert (np.diff(scores[kept]) <= 0).all()
    overlap = box_iou(boxes, boxes)
    among = overlap[np.ix_(kept, kept)] - np.diag(np.diag(overlap)[kept])
    assert (among <= 0.3).all()
    for dropped in set(range(len(boxes))) - set(kept.tolist()):
        better = [k for k in kept if scores[k] >= scores[dropped]]
        assert max(overlap[dropped, k] for k in better) > 0.3


def test_the_overlap_of_known_boxes():
    a = np.array([[0, 0, 10, 10], [3, 3, 3, 3]], float)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]], float)
    assert np.allclose(box_iou(a, b), [[1, 1 / 3, 0, 0], [0, 0, 0, 0]])
