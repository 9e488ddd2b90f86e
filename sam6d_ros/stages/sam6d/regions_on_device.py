"""Regions of a frame on the device, with their boxes and sizes on the host."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam6d_ros.errors import InvalidInput
from sam6d_ros.models.sam_cut import SmallMasks, mask_boxes
from sam6d_ros.models.transfer import pack, to_device, to_host, unpack
from sam6d_ros.types import Frame, Proposals


@dataclass(frozen=True)
class Regions:
    """P regions.

    Attributes:
        source: (P, H, W) bool on the device, or what they are made from.
        boxes: (P, 4) int64 on the host, first and last pixels x0, y0, x1, y1.
        pixels: (P,) int64 on the host, of each mask.
    """

    source: Tensor | SmallMasks
    boxes: Tensor
    pixels: Tensor

    @cached_property
    def masks(self) -> Tensor:
        """(P, H, W) bool on the device, made when first asked for."""
        return self.source if isinstance(self.source, Tensor) else self.source.make()

    @property
    def size_hw(self) -> tuple[int, ...]:
        """Size of the frame."""
        if isinstance(self.source, SmallMasks):
            return self.source.size_hw
        return tuple(self.source.shape[1:])

    @classmethod
    def of(cls, proposals: Proposals, device: torch.device) -> Regions:
        """Return the regions of proposals; those of the host are copied and measured.

        Args:
            proposals: regions of a frame.
            device: of the networks.
        """
        if isinstance(proposals, DeviceProposals):
            return proposals.regions
        masks = to_device(proposals.masks, device)
        return cls(masks, *to_host(mask_boxes(masks), masks.flatten(1).sum(-1)))

    def at(self, index: Tensor) -> Regions:
        """Return the regions with these numbers, (K,) int64 on the host.

        Args:
            index: (K,) int64, on the host.
        """
        source = self.__dict__.get("masks", self.source)  # those that are made need not be again
        return Regions(
            source[to_device(index, source.device)], self.boxes[index], self.pixels[index]
        )

    def __len__(self) -> int:
        return len(self.boxes)


class DeviceProposals(Proposals):
    """Proposals whose masks are copied to the host when they are asked for.

    Args:
        regions: masks of the frame's size.
        scores: (P,) float32 in [0, 1].
        class_ids: names of the objects that each region may show; any object by default.

    Raises:
        InvalidInput: a score is out of its range.
    """

    def __init__(
        self,
        regions: Regions,
        scores: NDArray[np.float32],
        class_ids: tuple[frozenset[str], ...] = (),
    ) -> None:
        if not ((scores >= 0) & (scores <= 1)).all():
            raise InvalidInput(f"scores {scores.tolist()} are not all in [0, 1]")
        values = {
            "regions": regions,
            "scores": scores,
            "reason": "",
            "class_ids": class_ids or (None,) * len(regions),
            "merged": False,
            "windows": {},
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    regions: Regions

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """(P, H, W) bool."""
        return unpack(to_host(pack(self.regions.masks))[0], self.regions.size_hw)

    def check_size(self, frame: Frame) -> None:
        """Refuse regions of another image, without a copy of the masks.

        Args:
            frame: the image.
        """
        if self.regions.size_hw != frame.depth.shape:
            super().check_size(frame)

    def __len__(self) -> int:
        return len(self.regions)
