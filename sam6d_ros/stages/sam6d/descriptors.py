"""Descriptors of proposals and of template views by DINOv2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sam6d_ros.models import crop
from sam6d_ros.models.device import batch_size, encoding, in_chunks
from sam6d_ros.models.dinov2 import DinoV2
from sam6d_ros.models.image_features import PIXEL_MEAN, PIXEL_STD, normalise
from sam6d_ros.stages.sam6d.views import TemplateView

ITEM_MB = 24.0  # activations of one crop; a bound


@dataclass(frozen=True)
class Descriptors:
    """What the segmentation stage compares.

    Attributes:
        classes: (N, 1024) class tokens.
        patches: (N, 256, 1024) unit patch tokens, zero where the patch is outside the mask.
    """

    classes: Tensor
    patches: Tensor


class Describer:
    """Turns masked image regions into descriptors.

    Args:
        network: DINOv2 on its device.
        device: that device.
        dtype: reduced type of the encoder, None for float32.
        memory_budget_mb: bounds how many crops are processed at once.
    """

    def __init__(
        self,
        network: DinoV2,
        device: torch.device,
        dtype: torch.dtype | None = None,
        memory_budget_mb: int = 4096,
    ) -> None:
        self.network, self.device, self.dtype = network, device, dtype
        self.chunk = batch_size(0, memory_budget_mb, ITEM_MB, device)

    @torch.inference_mode()
    def proposals(self, rgb: NDArray[np.uint8], masks: Tensor, boxes: Tensor) -> Descriptors:
        """Describe regions of one image.

        Args:
            rgb: (H, W, 3) uint8.
            masks: (P, H, W) bool on the device.
            boxes: (P, 4) x0, y0, x1, y1. The crop excludes x1 and y1, although they are the last
                pixels of the mask: the original loses that row and column, so do we.
        """
        image = normalise(torch.from_numpy(rgb).to(self.device)[None])[0]
        rows, cols = (axis.to(self.device) for axis in crop.crop_maps(boxes.cpu().numpy()))

        def describe(part: slice) -> Descriptors:
            inside = crop.take_mask_crops(masks[part], rows[part], cols[part])
            crops = crop.take_crops(image, rows[part], cols[part]) * inside[:, None]
            return self._describe(crops, inside)

        return _join(in_chunks(describe, len(masks), self.chunk, "proposals"))

    @torch.inference_mode()
    def templates(self, views: Sequence[TemplateView], legacy: bool) -> Descriptors:
        """Describe rendered views.

        The original's script for own data leaves templates unnormalised while it normalises what
        it compares them with; ``legacy`` repeats that. Its benchmark code normalises them after
        cropping, background included.
        """

        def describe(part: slice) -> Descriptors:
            crops = torch.stack([self._template_crop(view) for view in views[part]])
            images, inside = crops[:, :3], crops[:, 3] > 0
            if not legacy:
                mean = images.new_tensor(PIXEL_MEAN)[:, None, None]
                images = (images - mean) / images.new_tensor(PIXEL_STD)[:, None, None]
            return self._describe(images, inside)

        return _join(in_chunks(describe, len(views), self.chunk, "template views"))

    def _template_crop(self, view: TemplateView) -> Tensor:
        """(4, 224, 224) masked colours in [0, 1] and the mask, cropped to the mask's box."""
        rows, cols = np.flatnonzero(view.mask.any(1)), np.flatnonzero(view.mask.any(0))
        box = np.array([[cols[0], rows[0], cols[-1] + 1, rows[-1] + 1]])
        colours = torch.from_numpy(view.rgb).permute(2, 0, 1).float() / 255.0
        mask = torch.from_numpy(view.mask).float()
        stacked = torch.cat([colours * mask, mask[None]]).to(self.device)
        return crop.take_crops(stacked, *(axis.to(self.device) for axis in crop.crop_maps(box)))[0]

    def _describe(self, images: Tensor, inside: Tensor) -> Descriptors:
        with encoding(self.dtype, self.device):
            classes, patches = self.network(images)
        patches = patches * crop.valid_patches(inside)[..., None]
        return Descriptors(classes, F.normalize(patches, dim=-1))


def _join(parts: list[Descriptors]) -> Descriptors:
    return Descriptors(
        torch.cat([part.classes for part in parts]), torch.cat([part.patches for part in parts])
    )
