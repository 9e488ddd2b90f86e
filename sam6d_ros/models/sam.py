"""Masks of everything in an image by SAM (Kirillov et al. 2023, package ``segment-anything``).

The networks are the package's; the policy (grid of prompts, thresholds, suppression) is here,
because the package's own needs torchvision, whose compiled part exists only for matching torch
builds, and upscales every mask before it looks at the scores.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import lru_cache, partial
from types import ModuleType
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from sam6d_ros.errors import BackendUnavailable
from sam6d_ros.models.device import batch_size, encoding, in_chunks
from sam6d_ros.models.ism_scores import suppress
from sam6d_ros.models.sam_attention import replace_attention

STABILITY_OFFSET = 1.0  # of the logits
MASKS_PER_PROMPT = 3
RESIZED_AT_ONCE = 16  # masks
_ALIAS = "sam6d_ros_segment_anything"


@lru_cache(maxsize=1)
def _package() -> ModuleType:
    """The package's model classes, imported without its ``__init__``.

    That file imports torchvision for the predictor and the mask generator, which are not used
    here. The package's folder is given a private name, under which its submodules (they import
    one another relatively) load as they are; ``import segment_anything`` elsewhere is untouched.
    """
    spec = importlib.util.find_spec("segment_anything")
    if spec is None or not spec.submodule_search_locations:
        raise BackendUnavailable(
            "the package segment-anything is not installed; pip install 'sam6d_ros[sam6d]' "
            "(from source: make setup-sam6d)"
        )
    alias = ModuleType(_ALIAS)
    alias.__path__ = list(spec.submodule_search_locations)
    sys.modules[_ALIAS] = alias
    return importlib.import_module(f"{_ALIAS}.modeling")


@dataclass(frozen=True)
class SamShape:
    """Shape of SAM's image encoder; the rest of the network is always the same.

    Attributes:
        width: channels of a token.
        depth: number of blocks.
        heads: attention heads.
        global_blocks: blocks that attend to the whole image, the others to windows.
        image_size: side of the square input in pixels.
    """

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    image_size: int = 1024


SHAPES = {  # of the released checkpoints (segment_anything/build_sam.py)
    "vit_h": SamShape(1280, 32, 16, (7, 15, 23, 31)),
    "vit_l": SamShape(1024, 24, 16, (5, 11, 17, 23)),
    "vit_b": SamShape(768, 12, 12, (2, 5, 8, 11)),
}
PATCH = 16
PROMPT_WIDTH = 256


def build_sam(shape: SamShape) -> nn.Module:
    """An untrained SAM of this shape, with the keys of the released files."""
    package = _package()
    grid = shape.image_size // PATCH
    sam = package.Sam(
        image_encoder=package.ImageEncoderViT(
            img_size=shape.image_size,
            patch_size=PATCH,
            embed_dim=shape.width,
            depth=shape.depth,
            num_heads=shape.heads,
            out_chans=PROMPT_WIDTH,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=shape.global_blocks,
        ),
        prompt_encoder=package.PromptEncoder(
            embed_dim=PROMPT_WIDTH,
            image_embedding_size=(grid, grid),
            input_image_size=(shape.image_size, shape.image_size),
            mask_in_chans=16,
        ),
        mask_decoder=package.MaskDecoder(
            num_multimask_outputs=MASKS_PER_PROMPT,
            transformer=package.TwoWayTransformer(
                depth=2, embedding_dim=PROMPT_WIDTH, mlp_dim=2048, num_heads=8
            ),
            transformer_dim=PROMPT_WIDTH,
        ),
    )
    replace_attention(
        sam.image_encoder, importlib.import_module(f"{_ALIAS}.modeling.image_encoder")
    )
    return sam.eval()


@dataclass(frozen=True)
class SamMasks:
    """Masks of one image, best first.

    Attributes:
        masks: (N, H, W) bool.
        boxes: (N, 4) int64 x0, y0, x1, y1 of the first and last pixels (ends inclusive).
        scores: (N,) float32 predicted IoU, in [0, 1].
    """

    masks: NDArray[np.bool_]
    boxes: NDArray[np.int64]
    scores: NDArray[np.float32]


def point_grid(side: int) -> NDArray[np.float64]:
    """(side², 2) prompts (x, y) in [0, 1], row by row."""
    line = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(line, line)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


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
    """Automatic masks of whole images.

    Args:
        sam: a network of :func:`build_sam` on its device, in eval mode.
        config: thresholds, grid and memory budget.
        dtype: reduced type of the encoder, None for float32.
    """

    def __init__(self, sam: Any, config: SamPolicy, dtype: torch.dtype | None = None) -> None:
        self.sam, self.config, self.dtype = sam, config, dtype

    def segment(self, rgb: NDArray[np.uint8]) -> SamMasks:
        """All masks of an (H, W, 3) uint8 RGB image; possibly none."""
        full_hw, width = rgb.shape[:2], self.config.segment_width
        if width and width != rgb.shape[1]:
            rgb = cv2.resize(rgb, (width, int(width * full_hw[0] / full_hw[1])))
        image = self._to_input(rgb)
        # a single item: running out of memory is reported with the remedy
        (features,) = in_chunks(lambda _: self._encode(image), 1, 1, "image for SAM")
        with torch.inference_mode():
            masks, scores = self._prompt_all(features, image.shape[-2:], rgb.shape[:2])
            keep = suppress(mask_boxes(masks), scores, self.config.box_nms_iou)
            masks, scores = _to_size(masks[keep], full_hw), scores[keep]
            return SamMasks(
                masks.cpu().numpy(),
                mask_boxes(masks).cpu().numpy(),
                scores.clamp(0, 1).float().cpu().numpy(),
            )

    def _encode(self, image: Tensor) -> Tensor:
        """(1, 256, h, w) features of an input image."""
        with encoding(self.dtype, self.sam.device):
            features: Tensor = self.sam.image_encoder(self.sam.preprocess(image)).float()
            return features

    def _to_input(self, rgb: NDArray[np.uint8]) -> Tensor:
        """(1, 3, h, w) with the longest side of the network's input (Pillow's filtered resize)."""
        longest = self.sam.image_encoder.img_size
        scale = longest / max(rgb.shape[:2])
        height, width = (int(side * scale + 0.5) for side in rgb.shape[:2])
        resized = Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(resized)).to(self.sam.device).permute(2, 0, 1)[None]

    def _prompt_all(
        self, features: Tensor, input_hw: tuple[int, int], image_hw: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Good masks (N, H, W) bool and their scores (N,) of every prompt of the grid."""
        grid = torch.from_numpy(point_grid(self.config.points_per_side)).float()
        # as in the package: prompts on the image, then scaled to the input
        prompts = (grid * torch.tensor([input_hw[1], input_hw[0]])).to(features.device)
        side = self.sam.image_encoder.img_size
        item_mb = MASKS_PER_PROMPT * (side**2 + image_hw[0] * image_hw[1]) * 4 / 2**20
        wanted, budget_mb = self.config.points_per_batch, self.config.memory_budget_mb
        chunk = batch_size(wanted, budget_mb, item_mb, features.device)
        parts = in_chunks(
            lambda part: self._prompt(features, prompts[part], input_hw, image_hw),
            len(prompts),
            chunk,
            "prompts",
        )
        return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])

    def _prompt(
        self,
        features: Tensor,
        prompts: Tensor,
        input_hw: tuple[int, int],
        image_hw: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        labels = torch.ones(len(prompts), 1, dtype=torch.int32, device=prompts.device)
        sparse, dense = self.sam.prompt_encoder(
            points=(prompts[:, None], labels), boxes=None, masks=None
        )
        low, quality = self.sam.mask_decoder(
            image_embeddings=features,
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        low, quality = low.flatten(0, 1), quality.flatten()
        good = quality > self.config.min_predicted_iou  # before the costly upscaling
        low, quality = low[good], quality[good]
        if not len(low):
            return low.new_zeros((0, *image_hw), dtype=torch.bool), quality
        logits = self.sam.postprocess_masks(low[:, None], input_hw, image_hw)[:, 0]
        threshold = self.sam.mask_threshold
        stable = stability(logits, threshold) >= self.config.min_stability
        return logits[stable] > threshold, quality[stable]


def _to_size(masks: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Masks resized to the full image: bilinear shares, cut at one half.

    The original keeps the shares, which weight the depth at the edges of a mask.
    """
    if masks.shape[-2:] == tuple(size_hw) or not len(masks):
        return masks.reshape(len(masks), *size_hw)

    def resize(part: slice) -> Tensor:
        shares = F.interpolate(masks[part, None].float(), tuple(size_hw), mode="bilinear")
        return shares[:, 0] > 0.5

    return torch.cat(in_chunks(resize, len(masks), RESIZED_AT_ONCE, "masks"))
