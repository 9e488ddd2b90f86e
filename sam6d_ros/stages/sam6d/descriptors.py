"""Descriptors of proposals and of template views by DINOv2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sam6d_ros.models import crop
from sam6d_ros.models.device import batch_size, encoding, in_chunks, padded
from sam6d_ros.models.dinov2 import DinoV2
from sam6d_ros.models.exact import inference
from sam6d_ros.models.image_features import normalise, standardise
from sam6d_ros.models.transfer import to_device
from sam6d_ros.stages.sam6d.views import TemplateView

ITEM_MB = 24.0  # activations of one crop; a bound
CROPS_AT_ONCE = 32  # on a GPU


@dataclass(frozen=True)
class Descriptors:
    """Descriptors that the segmentation stage compares.

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
        self.chunk = batch_size(0, memory_budget_mb, ITEM_MB, device, CROPS_AT_ONCE)
        self._fitting: dict[str, int] = {}

    @inference()
    def proposals(
        self,
        rgb: NDArray[np.uint8],
        masks: Tensor,
        boxes: Tensor,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> Descriptors:
        """Describe regions of one image.

        Args:
            rgb: (H, W, 3) uint8.
            masks: (P, H, W) bool on the device.
            boxes: (P, 4) x0, y0, x1, y1, on the host. The crop excludes x1 and y1, although they
                are the last pixels of the mask: the original loses that row and column, so do we.
            checkpoint: called between batches; raises to end the work.

        Returns:
            Class and patch descriptors of each region.
        """
        image = normalise(to_device(rgb, self.device)[None])[0]
        rows, cols = (to_device(axis, self.device) for axis in crop.crop_maps(boxes.numpy()))

        def describe(part: slice) -> Descriptors:
            inside = crop.take_mask_crops(masks[part], rows[part], cols[part])
            crops = crop.take_crops(image, rows[part], cols[part]) * inside[:, None]
            return self._describe(crops, inside)

        count, fitting = len(masks), self._fitting
        return _join(in_chunks(describe, count, self.chunk, "proposals", fitting, checkpoint))

    @inference()
    def templates(self, views: Sequence[TemplateView], legacy: bool) -> Descriptors:
        """Describe rendered views.

        The original's script for own data leaves templates unnormalised while it normalises what
        it compares them with; ``legacy`` repeats that. Its benchmark code normalises them after
        cropping, background included.

        Args:
            views: the rendered views.
            legacy: whether the images stay unnormalised.

        Returns:
            Class and patch descriptors of each view.
        """

        def describe(part: slice) -> Descriptors:
            crops = torch.stack([self._template_crop(view) for view in views[part]])
            images, inside = crops[:, :3], crops[:, 3] > 0
            if not legacy:
                images = standardise(images)
            return self._describe(images, inside)

        return _join(in_chunks(describe, len(views), self.chunk, "template views", self._fitting))

    def _template_crop(self, view: TemplateView) -> Tensor:
        """(4, 224, 224) masked colours in [0, 1] and the mask, cropped to the mask's box."""
        rows, cols = np.flatnonzero(view.mask.any(1)), np.flatnonzero(view.mask.any(0))
        box = np.array([[cols[0], rows[0], cols[-1] + 1, rows[-1] + 1]])
        colours = torch.from_numpy(view.rgb).permute(2, 0, 1).float() / 255.0
        mask = torch.from_numpy(view.mask).float()
        stacked = to_device(torch.cat([colours * mask, mask[None]]), self.device)
        maps = (to_device(axis, self.device) for axis in crop.crop_maps(box))
        return crop.take_crops(stacked, *maps)[0]

    def _describe(self, images: Tensor, inside: Tensor) -> Descriptors:
        classes, patches = self._encode(images)
        patches = patches * crop.valid_patches(inside)[..., None]
        return Descriptors(classes, F.normalize(patches, dim=-1))

    def _encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network; on a GPU on 1, 2, 4, … crops, so that few shapes occur."""
        count = len(images)
        missing = padded(count, max(count, self.chunk), self.device) - count
        if missing:
            images = torch.cat([images, images[:1].expand(missing, -1, -1, -1)])
        with encoding(self.dtype, self.device):
            classes, patches = self.network(images)
        return classes[:count], patches[:count]


def _join(parts: list[Descriptors]) -> Descriptors:
    return Descriptors(
        torch.cat([part.classes for part in parts]), torch.cat([part.patches for part in parts])
    )
