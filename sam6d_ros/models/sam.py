"""Masks of everything in an image by SAM (Kirillov et al. 2023, package ``segment-anything``).

The networks are the package's; the policy (grid of prompts, thresholds, suppression) is here,
because the package's own needs torchvision, whose compiled part exists only for matching torch
builds, and upscales every mask before it looks at the scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam6d_ros.models.device import (
    batch_size,
    batch_sizes,
    encoding,
    in_chunks,
    padded,
    reporting_memory,
)
from sam6d_ros.models.exact import inference
from sam6d_ros.models.graphs import Graphs
from sam6d_ros.models.resize import resize
from sam6d_ros.models.sam_cut import Candidates, Cut, SamMasks, SmallMasks, keep_best
from sam6d_ros.models.sam_decoder import Decoded, SharedDecoder
from sam6d_ros.models.sam_network import MASKS_PER_PROMPT
from sam6d_ros.models.steps import without_host
from sam6d_ros.models.transfer import to_device, to_host

DECODER_KB_PER_TOKEN = 5.0  # of one prompt; 20 MB at 64 × 64, by meta tensors
PROMPTS_AT_ONCE = 64  # on a GPU at most; 57 with the default budget


def point_grid(side: int) -> NDArray[np.float64]:
    """(side², 2) prompts (x, y) in [0, 1], row by row."""
    line = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(line, line)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


class SamPolicy(Protocol):
    """Settings of automatic segmentation; ``Sam6dConfig`` states their meaning."""

    @property
    def segment_width(self) -> int: ...
    @property
    def points_per_side(self) -> int: ...
    @property
    def points_per_batch(self) -> int: ...
    @property
    def memory_budget_mb(self) -> int: ...
    @property
    def min_predicted_iou(self) -> float: ...
    @property
    def min_stability(self) -> float: ...
    @property
    def box_nms_iou(self) -> float: ...


class SamSegmenter:
    """Automatic masks of whole images, or masks of given boxes.

    Args:
        sam: a network of :func:`.sam_network.build_sam` on its device, in eval mode.
        config: thresholds, grid and memory budget.
        dtype: reduced type of encoder and decoder, None for float32.
    """

    def __init__(self, sam: Any, config: SamPolicy, dtype: torch.dtype | None = None) -> None:
        self.sam, self.config, self.dtype = sam, config, dtype
        self._fitting: dict[str, int] = {}
        self._encoder = Graphs(without_host(self._features))

    @reporting_memory("the masks of an image")
    def segment(
        self, rgb: NDArray[np.uint8], checkpoint: Callable[[], None] = lambda: None
    ) -> SamMasks:
        """All masks of an (H, W, 3) uint8 RGB image; ``checkpoint`` raises to end the work."""
        full_hw = rgb.shape[:2]
        features, cut = self._prepare(rgb)
        with inference():
            found = self._candidates(features, cut, checkpoint)
            index, boxes, pixels = keep_best(found, self.config.box_nms_iou)
            logits = found.logits[to_device(index, features.device)]
            masks = SmallMasks(logits, cut, full_hw, self._fitting)
            if cut.image_hw != full_hw and len(index):
                boxes, pixels = to_host(*masks.measure())
            return SamMasks(masks, boxes, pixels, found.scores[index].clamp(0, 1).numpy())

    def segment_boxes(
        self,
        rgb: NDArray[np.uint8],
        boxes: NDArray[np.float32],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> tuple[Tensor, Tensor]:
        """Segment what each box shows, as ``SamPredictor.predict`` does with a box.

        The boxes replace the grid; no threshold is applied, and the host does not wait.

        Args:
            rgb: (H, W, 3) uint8.
            boxes: (B, 4) first and last pixels x0, y0, x1, y1; B > 0.
            checkpoint: raises to end the work.

        Returns:
            masks (B, H, W) bool and predicted IoU (B,) float32 in [0, 1], both on the device.
        """
        features, cut = self._prepare(rgb)
        with inference():
            # SamPredictor.transform.apply_boxes: each side by the share of the resized image
            scale = np.divide(cut.input_hw, rgb.shape[:2])[[1, 0, 1, 0]]
            prompts = to_device((boxes * scale).astype(np.float32), features.device)
            decoder = SharedDecoder(self.sam, features, self.dtype)

            def decode(part: slice) -> tuple[Tensor, Tensor]:
                decoded = self._attend_boxes(decoder, prompts[part])
                every = torch.arange(len(decoded.quality), device=features.device)
                logits = decoder.masks(decoded, every, every)
                masks = SmallMasks(logits, cut, rgb.shape[:2], self._fitting)
                return masks.make(), decoded.quality[:, 0].clamp(0, 1)

            chunk, _ = self._batches(features, cut)
            parts = in_chunks(decode, len(boxes), chunk, "boxes", self._fitting, checkpoint)
            masks, quality = (torch.cat(column) for column in zip(*parts, strict=True))
            return masks, quality

    @property
    def box_sizes(self) -> list[int]:
        """Numbers of boxes that are decoded together on a GPU, the largest first."""
        most = self.config.points_per_batch or PROMPTS_AT_ONCE
        return batch_sizes(most, self.sam.device)

    @staticmethod
    def _attend_boxes(decoder: SharedDecoder, boxes: Tensor) -> Decoded:
        """Decode boxes; on a GPU 1, 2, 4, … of them, so that few shapes occur."""
        count = len(boxes)
        missing = padded(count, max(count, PROMPTS_AT_ONCE), boxes.device) - count
        return decoder.attend(torch.cat([boxes, boxes[:1].expand(missing, -1)])).first(count)

    def _prepare(self, rgb: NDArray[np.uint8]) -> tuple[Tensor, Cut]:
        """Return the features of an image, and the cut of its masks at its width for SAM."""
        (height, columns), width = rgb.shape[:2], self.config.segment_width
        if width and width != columns:
            rgb = cv2.resize(rgb, (width, int(width * height / columns)))
        image = self._to_input(rgb)
        # a single item: running out of memory is reported with the remedy
        (features,) = in_chunks(lambda _: self._encode(image), 1, 1, "image for SAM")
        return features, Cut(self.sam, image.shape[-2:], rgb.shape[:2], self.config.min_stability)

    def _encode(self, image: Tensor) -> Tensor:
        """(1, 256, h, w) features of an input image."""
        with inference():
            # padded here: one graph serves images of all shapes
            return self._encoder(self.sam.preprocess(image))[0]

    def _features(self, padded_image: Tensor) -> tuple[Tensor]:
        with encoding(self.dtype, self.sam.device):
            return (self.sam.image_encoder(padded_image).float(),)

    def _to_input(self, rgb: NDArray[np.uint8]) -> Tensor:
        """(1, 3, h, w) uint8 with the longest side of the network's input."""
        scale = self.sam.image_encoder.img_size / max(rgb.shape[:2])
        height, width = (int(side * scale + 0.5) for side in rgb.shape[:2])
        image = to_device(np.ascontiguousarray(rgb), self.sam.device)
        return resize(image, (height, width)).permute(2, 0, 1)[None]

    def _candidates(self, features: Tensor, cut: Cut, checkpoint: Callable[[], None]) -> Candidates:
        """Return the masks of the grid's prompts whose predicted quality is good enough.

        Image tokens of many prompts are kept until the qualities of all of them are known, so that
        the host waits once for each group of prompts.
        """
        device, config = features.device, self.config
        grid = torch.from_numpy(point_grid(config.points_per_side)).float()
        # as in the package: prompts on the image, then scaled to the input
        grid = grid * torch.tensor([cut.input_hw[1], cut.input_hw[0]])
        prompts, decoder = to_device(grid, device), SharedDecoder(self.sam, features, self.dtype)
        chunk, group = self._batches(features, cut)
        found: list[Candidates] = []
        for start in range(0, len(prompts), group):
            part = prompts[start : start + group]
            attend = lambda s, part=part: decoder.attend(part[s])  # noqa: E731
            decoded = in_chunks(attend, len(part), chunk, "prompts", self._fitting, checkpoint)
            (quality,) = to_host(torch.cat([d.quality for d in decoded]))
            for some in decoded:
                rated, quality = quality.split(
                    [len(some.quality), len(quality) - len(some.quality)]
                )
                found += self._masks(decoder, some, rated, cut, chunk)
        return Candidates.join(found) if found else Candidates.none(features)

    def _masks(
        self, decoder: SharedDecoder, decoded: Decoded, quality: Tensor, cut: Cut, chunk: int
    ) -> list[Candidates]:
        """Return the good masks of some prompts; their (B, 3) qualities are on the host."""
        good, device = quality > self.config.min_predicted_iou, decoded.keys.device
        used = good.any(1).nonzero()[:, 0]

        def make(part: slice) -> Candidates:
            rows = used[part]
            chosen = good[rows].flatten().nonzero()[:, 0]
            logits = decoder.masks(decoded, to_device(rows, device), to_device(chosen, device))
            return Candidates(logits, quality[rows].flatten()[chosen], *cut.measure(logits))

        return in_chunks(make, len(used), chunk, "prompts", self._fitting)

    def _batches(self, features: Tensor, cut: Cut) -> tuple[int, int]:
        """Return how many prompts are decoded at once, and for how many the host waits once."""
        config, device = self.config, features.device
        tokens = features.shape[-2] * features.shape[-1]
        side, image_hw = self.sam.image_encoder.img_size, cut.image_hw
        upscaled = MASKS_PER_PROMPT * (side**2 + image_hw[0] * image_hw[1]) * 4 / 2**20
        item_mb = upscaled + DECODER_KB_PER_TOKEN * tokens / 2**10
        budget_mb = config.memory_budget_mb
        if device.type == "cpu":
            chunk = batch_size(config.points_per_batch, budget_mb, item_mb, device)
            return chunk, chunk
        held_mb = self.held_mb(features)
        chunk = batch_size(
            config.points_per_batch, budget_mb // 2, item_mb, device, PROMPTS_AT_ONCE
        )
        return chunk, max(chunk, int(budget_mb / 2 / held_mb))

    def held_mb(self, features: Tensor) -> float:
        """Return the memory of one prompt whose masks are not made yet."""
        size = torch.float32.itemsize if self.dtype is None else self.dtype.itemsize
        return features[0].numel() * size / 2**20
