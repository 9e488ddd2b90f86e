"""From SAM's low-resolution logits to masks: stability, boxes, suppression.

Masks stay logits of the decoder's resolution (256 × 256) on the device. Candidates are made at the
size of the image to be measured, a chunk at a time; after that, those that are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sam6d_ros.models.device import in_chunks
from sam6d_ros.models.suppression import clashes, repeat_rule
from sam6d_ros.models.transfer import pack, to_device, to_host, unpack

T = TypeVar("T")
STABILITY_OFFSET = 1.0  # of the logits
RESIZED_AT_ONCE = 16  # masks


@dataclass(frozen=True)
class SamMasks:
    """N masks of one image, best first.

    Attributes:
        on_device: logits of the masks, from which they are made.
        boxes_host: (N, 4) int64 x0, y0, x1, y1 of the first and last pixels (ends inclusive).
        pixels: (N,) int64 pixels of each mask, on the host.
        scores: (N,) float32 predicted IoU, in [0, 1].
    """

    on_device: SmallMasks
    boxes_host: Tensor
    pixels: Tensor
    scores: NDArray[np.float32]

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, H, W) bool, copied to the host."""
        return unpack(to_host(pack(self.on_device.make()))[0], self.on_device.size_hw)

    @property
    def boxes(self) -> NDArray[np.int64]:
        """(N, 4) int64."""
        return self.boxes_host.numpy()


@dataclass(frozen=True)
class Candidates:
    """M masks whose predicted quality is good enough.

    Attributes:
        logits: (M, h, w) at the decoder's resolution.
        scores: (M,) float32 predicted IoU, on the host.
        stable: (M,) bool, whether the cut is stable.
        boxes: (M, 4) int64 in the image.
        pixels: (M,) int64 pixels in the image.
    """

    logits: Tensor
    scores: Tensor
    stable: Tensor
    boxes: Tensor
    pixels: Tensor

    @classmethod
    def join(cls, parts: Sequence[Candidates]) -> Candidates:
        """Return all candidates of several chunks."""
        return cls(*(torch.cat([getattr(p, field.name) for p in parts]) for field in fields(cls)))

    @classmethod
    def none(cls, like: Tensor) -> Candidates:
        """Return no candidate, on the device of this tensor."""
        integers = like.new_zeros(0, dtype=torch.int64)
        boxes = integers.reshape(0, 4)
        logits = like.new_zeros((0, *(4 * side for side in like.shape[-2:])))
        return cls(logits, torch.zeros(0), integers > 0, boxes, integers)


@dataclass(frozen=True)
class Cut:
    """Cut of logits at the size of the image.

    Attributes:
        sam: network of the package segment-anything.
        input_hw: size of the network's input without its padding.
        image_hw: size of the image.
        min_stability: masks of a lower stability are left out.
    """

    sam: Any
    input_hw: tuple[int, int]
    image_hw: tuple[int, int]
    min_stability: float

    def measure(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return stable (M,) bool, boxes (M, 4) and pixels (M,) of the masks."""
        large = self._resize(logits)
        stable = stability(large, self.sam.mask_threshold) >= self.min_stability
        masks = large > self.sam.mask_threshold
        return stable, mask_boxes(masks), masks.flatten(1).sum(-1)

    def masks(self, logits: Tensor) -> Tensor:
        """Return (M, H, W) bool masks of the image's size."""
        return self._resize(logits) > self.sam.mask_threshold

    def _resize(self, logits: Tensor) -> Tensor:
        large: Tensor = self.sam.postprocess_masks(logits[:, None], self.input_hw, self.image_hw)
        return large[:, 0]


@dataclass(frozen=True)
class SmallMasks:
    """N masks at the decoder's resolution on the device; made at full size when asked for.

    Attributes:
        logits: (N, h, w).
        cut: of the image that SAM saw.
        size_hw: size of the whole image, which may be another.
        fitting: of :func:`.in_chunks`, kept by who makes the masks of all images.
    """

    logits: Tensor
    cut: Cut
    size_hw: tuple[int, int]
    fitting: dict[str, int]

    @property
    def device(self) -> torch.device:
        """Device of the logits."""
        return self.logits.device

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, index: Tensor) -> SmallMasks:
        """Return the masks with these numbers, (K,) int64 on the device."""
        return replace(self, logits=self.logits[index])

    def make(self) -> Tensor:
        """Return (N, H, W) bool masks of the whole image."""
        parts = self._each(lambda masks: masks)
        return torch.cat([self.logits.new_zeros((0, *self.size_hw), dtype=torch.bool), *parts])

    def measure(self) -> tuple[Tensor, Tensor]:
        """Return boxes (N, 4) and pixels (N,) of the full masks, of which few live at once."""
        found = self._each(lambda masks: (mask_boxes(masks), masks.flatten(1).sum(-1)))
        boxes, pixels = zip(*found, strict=True)
        return torch.cat(boxes), torch.cat(pixels)

    def _each(self, use: Callable[[Tensor], T]) -> list[T]:
        """Return what ``use`` gives for a few full masks at a time."""

        def full(part: slice) -> T:
            return use(to_size(self.cut.masks(self.logits[part]), self.size_hw))

        return in_chunks(full, len(self), RESIZED_AT_ONCE, "masks", self.fitting)


def keep_best(found: Candidates, iou: float) -> tuple[Tensor, Tensor, Tensor]:
    """Suppress overlapping boxes of stable masks; one wait for the device.

    Returns:
        numbers (K,), boxes (K, 4) and pixels (K,) of the kept masks, best first, on the host.
    """
    order = found.scores.argsort(descending=True, stable=True)
    on_device = to_device(order, found.boxes.device)
    boxes, usable = found.boxes[on_device], found.stable[on_device].float()
    clash = clashes(boxes, iou)
    kept, settled = usable, False
    while not settled:
        kept, unchanged = repeat_rule(clash, usable, kept)
        flags, done, corners, pixels = to_host(kept > 0, unchanged, boxes, found.pixels[on_device])
        settled = bool(done)
    return order[flags], corners[flags], pixels[flags]


def mask_boxes(masks: Tensor) -> Tensor:
    """(N, 4) int64 first and last column/row of (N, H, W) masks; zeros for an empty one."""
    height, width = masks.shape[-2:]
    ends = []
    for axis, size in ((1, width), (2, height)):  # which columns, which rows
        hit = masks.any(axis)
        index = torch.arange(size, device=masks.device)
        low = torch.where(hit, index, size).amin(-1)
        high = torch.where(hit, index, -1).amax(-1)
        ends.append((low, high))
    box = torch.stack([ends[0][0], ends[1][0], ends[0][1], ends[1][1]], dim=-1)
    return box * (ends[0][1] >= 0)[:, None]


def stability(logits: Tensor, threshold: float) -> Tensor:
    """(N,) IoU of (N, H, W) masks cut a little above and a little below the threshold."""
    inner = (logits > threshold + STABILITY_OFFSET).sum((-1, -2), dtype=torch.int32)
    outer = (logits > threshold - STABILITY_OFFSET).sum((-1, -2), dtype=torch.int32)
    return inner / outer


def to_size(masks: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Return masks resized to the full image: bilinear shares, cut at one half.

    The original keeps the shares, which weight the depth at the edges of a mask.
    """
    if masks.shape[-2:] == tuple(size_hw):
        return masks
    shares = F.interpolate(masks[:, None].float(), tuple(size_hw), mode="bilinear")
    return shares[:, 0] > 0.5
