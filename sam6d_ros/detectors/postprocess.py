"""Output tensors of a detector -> boxes of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.labels import usable
from sam6d_ros.detectors.manifest import Manifest
from sam6d_ros.detectors.preprocess import Placement
from sam6d_ros.errors import InvalidInput
from sam6d_ros.types import Boxes

MAX_CANDIDATES = 1000  # per image, before suppression: it compares all with all
YOLOX_STRIDES = (8, 16, 32)  # pixels; Ge et al., 2021


@dataclass(frozen=True)
class Raw:
    """Boxes in tensor pixels, before threshold and suppression.

    Attributes:
        xyxy: (N, 4) float.
        classes: (N,) integer, place in the labels.
        scores: (N,) float.
        masks: (N, H', W') float, probability of each pixel of the tensor, or None.
    """

    xyxy: NDArray
    classes: NDArray
    scores: NDArray
    masks: NDArray | None = None

    def at(self, chosen: NDArray) -> Raw:
        """Return the chosen boxes, by index or by mask."""
        masks = None if self.masks is None else self.masks[chosen]
        return Raw(self.xyxy[chosen], self.classes[chosen], self.scores[chosen], masks)


def to_boxes(
    outputs: Sequence[NDArray],
    manifest: Manifest,
    placement: Placement,
    threshold: float,
) -> Boxes:
    """Return the boxes of one image, best first.

    Args:
        outputs: the model's outputs for this image, without the batch axis.
        manifest: layout, labels and suppression of the model.
        placement: position of the image in the tensor.
        threshold: lowest score that is returned; boxes of score 0 are padding and never are.

    Raises:
        InvalidInput: the outputs have other shapes than the layout's, or a class has no label.
    """
    raw = _DECODERS[manifest.layout](outputs, manifest)
    chosen = np.isfinite(raw.xyxy).all(axis=1) & (raw.scores >= threshold) & (raw.scores > 0)
    raw = raw.at(chosen)
    raw = raw.at(np.argsort(-raw.scores, kind="stable")[:MAX_CANDIDATES])
    if manifest.nms_iou is not None:
        raw = raw.at(suppress(raw.xyxy, raw.scores, raw.classes, manifest.nms_iou))
    height, width = placement.size_hw
    xyxy = placement.to_image(raw.xyxy).clip(0, [width, height, width, height])
    raw, xyxy = _not_empty(raw, xyxy)
    scores = np.clip(raw.scores, 0, 1).astype(np.float32)
    names, known = _names(raw.classes, manifest), usable(manifest.labels)
    masks = None if raw.masks is None else _masks(raw.masks, placement)
    return Boxes(xyxy.astype(np.float32), names, scores, masks, classes=known)


def _masks(probabilities: NDArray, placement: Placement) -> NDArray[np.bool_]:
    masks = np.zeros((len(probabilities), *placement.size_hw), bool)
    for place, mask in enumerate(probabilities):
        masks[place] = placement.mask_to_image(mask)
    return masks


def suppress(xyxy: NDArray, scores: NDArray, classes: NDArray, iou: float) -> NDArray[np.intp]:
    """Return the indices that non-maximum suppression within each class keeps, best first."""
    order = np.argsort(-scores, kind="stable")
    overlap = box_iou(xyxy[order], xyxy[order]) > iou
    overlap &= classes[order][:, None] == classes[order][None, :]
    alive = np.ones(len(order), bool)
    for place in range(len(order)):
        if alive[place]:
            alive[place + 1 :] &= ~overlap[place, place + 1 :]
    return order[alive]


def box_iou(a_xyxy: NDArray, b_xyxy: NDArray) -> NDArray[np.float64]:
    """Return the intersection over union (N, M) of boxes (N, 4) and (M, 4); 0 for empty ones."""
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    union = _area(a_xyxy)[:, None] + _area(b_xyxy)[None, :] - common
    return np.divide(common, union, out=np.zeros_like(common, dtype=float), where=union > 0)


def _area(xyxy: NDArray) -> NDArray:
    return (xyxy[:, 2:] - xyxy[:, :2]).clip(0).prod(axis=1)


def _not_empty(raw: Raw, xyxy: NDArray) -> tuple[Raw, NDArray]:
    inside = np.flatnonzero((xyxy[:, 2:] > xyxy[:, :2]).all(axis=1))
    return raw.at(inside), xyxy[inside]


def _names(classes: NDArray, manifest: Manifest) -> tuple[str, ...]:
    known = len(manifest.labels)
    if classes.size and not 0 <= classes.min() <= classes.max() < known:
        raise InvalidInput(
            f"detector '{manifest.name}' returned class {int(classes.max())} and has {known} "
            "labels; give the labels that it was trained with"
        )
    return tuple(manifest.labels[int(place)] for place in classes)


def _from_boxes(outputs: Sequence[NDArray], _: Manifest) -> Raw:
    shapes = [output.shape for output in outputs]
    count = shapes[0][0] if shapes and shapes[0] else 0
    if shapes[:3] != [(count, 4), (count,), (count,)]:
        raise InvalidInput(f"outputs are {shapes}; expected boxes (N, 4), labels (N,), scores (N,)")
    return Raw(outputs[0], outputs[1].astype(np.int64), outputs[2])


def _from_masks(outputs: Sequence[NDArray], manifest: Manifest) -> Raw:
    boxes = _from_boxes(outputs[:3], manifest)
    masks = outputs[3] if len(outputs) > 3 else np.zeros(0)
    if masks.ndim == 4 and masks.shape[1] == 1:  # as torchvision's Mask R-CNN returns them
        masks = masks[:, 0]
    if masks.ndim != 3 or len(masks) != len(boxes.scores):
        raise InvalidInput(
            f"masks are {masks.shape} for {len(boxes.scores)} boxes; expected a fourth output "
            "(N, H, W) of the input's size"
        )
    return replace(boxes, masks=masks)


def _from_yolov8(outputs: Sequence[NDArray], _: Manifest) -> Raw:
    rows = _one(outputs, 5).T  # (places, 4 + classes)
    scores = rows[:, 4:]
    return Raw(_corners(rows[:, :2], rows[:, 2:4]), scores.argmax(axis=1), scores.max(axis=1))


def _from_yolox(outputs: Sequence[NDArray], manifest: Manifest) -> Raw:
    rows = _one(outputs, 6, axis=1)
    cells, strides = _grid(manifest)
    if len(rows) != len(cells):
        raise InvalidInput(
            f"detector '{manifest.name}' returned {len(rows)} places; an input of "
            f"{manifest.input.size_hw} pixels has {len(cells)}"
        )
    centers = (rows[:, :2] + cells) * strides
    scores = rows[:, 4:5] * rows[:, 5:]
    sizes = np.exp(rows[:, 2:4]) * strides
    return Raw(_corners(centers, sizes), scores.argmax(axis=1), scores.max(axis=1))


def _grid(manifest: Manifest) -> tuple[NDArray, NDArray]:
    """Return cells (N, 2) and strides (N, 1) of all places."""
    height, width = manifest.input.size_hw or (0, 0)
    cells, strides = [], []
    for stride in YOLOX_STRIDES:
        rows, cols = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([cols, rows], axis=2).reshape(-1, 2))
        strides.append(np.full((cols.size, 1), stride))
    return np.concatenate(cells), np.concatenate(strides)


def _one(outputs: Sequence[NDArray], least: int, axis: int = 0) -> NDArray:
    if len(outputs) != 1 or outputs[0].ndim != 2 or outputs[0].shape[axis] < least:
        shapes = [output.shape for output in outputs]
        raise InvalidInput(f"outputs are {shapes}; expected one with at least {least} values a box")
    return outputs[0]


def _corners(centers: NDArray, sizes: NDArray) -> NDArray:
    return np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1)


_DECODERS: dict[str, Callable[[Sequence[NDArray], Manifest], Raw]] = {
    "boxes": _from_boxes,
    "masks": _from_masks,
    "yolov8": _from_yolov8,
    "yolox": _from_yolox,
}
