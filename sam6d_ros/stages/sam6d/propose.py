"""Class-agnostic proposals by SAM: of the whole frame, or of the boxes of a detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam6d_ros.geometry.region import Region
from sam6d_ros.models.device import reporting_memory
from sam6d_ros.models.exact import inference
from sam6d_ros.models.sam_cut import mask_boxes
from sam6d_ros.models.transfer import to_device, to_host
from sam6d_ros.stages.areas import SearchAreas
from sam6d_ros.stages.regions import BOX_MARGIN, MIN_SHARE_INSIDE
from sam6d_ros.stages.sam6d.networks import Networks
from sam6d_ros.stages.sam6d.regions_on_device import DeviceProposals, Regions
from sam6d_ros.types import Proposals, Scene


class SamProposer:
    """Every well-bounded region of the colour image, or the thing in each box."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks

    @property
    def warm_up_sizes(self) -> list[int]:
        """Numbers of boxes whose masks are decoded together on a GPU."""
        return self.networks.sam.box_sizes

    def propose(self, scene: Scene) -> Proposals:
        """Return the masks of the frame; empty with the reason if none is good enough.

        Args:
            scene: the frame.
        """
        frame = scene.frame
        found = self.networks.sam.segment(frame.rgb, scene.checkpoint)
        if not len(found.scores):
            config = self.networks.config
            return Proposals.empty(
                frame,
                f"SAM found no mask with predicted IoU > {config.min_predicted_iou} and "
                f"stability ≥ {config.min_stability}",
            )
        regions = Regions(found.on_device, found.boxes_host, found.pixels)
        return DeviceProposals(regions, found.scores)

    @reporting_memory("the masks of boxes")
    @inference()
    def propose_in_boxes(self, scene: Scene, areas: SearchAreas) -> Proposals:
        """Return SAM's mask of each box, in the order of the boxes; the host waits once.

        SAM's thresholds do not apply: a detector reported an object there. A box without a mask,
        or most of whose mask lies outside, is itself a region: its pixels with depth.

        Args:
            scene: the frame.
            areas: boxes without masks, at least one.
        """
        frame, allowed = scene.frame, _by_region(areas)
        boxes = _corners(list(allowed))
        grown = _corners([region.grown(BOX_MARGIN) for region in allowed])
        masks, quality = self.networks.sam.segment_boxes(
            frame.rgb, boxes.astype(np.float32), scene.checkpoint
        )
        size, device = masks.shape[-2:], masks.device
        inside = (masks & _filled(to_device(grown, device), size)).flatten(1).sum(-1)
        good = (inside > 0) & (inside >= MIN_SHARE_INSIDE * masks.flatten(1).sum(-1))
        depth = to_device(frame.depth > 0, device)
        own = _filled(to_device(boxes, device), size) & depth
        masks = torch.where(good[:, None, None], masks, own)
        scores = torch.where(good, quality, 1.0)
        scores, found, pixels = to_host(scores, mask_boxes(masks), masks.flatten(1).sum(-1))
        regions = Regions(masks, found, pixels)
        return DeviceProposals(regions, scores.numpy(), tuple(allowed.values()))


def _by_region(areas: SearchAreas) -> dict[Region, frozenset[str]]:
    """Return the objects of each box; boxes with the same edges are one."""
    allowed: dict[Region, frozenset[str]] = {}
    for area in areas.items:
        allowed[area.region] = allowed.get(area.region, frozenset()) | area.class_ids
    return allowed


def _corners(regions: Sequence[Region]) -> NDArray[np.int64]:
    """Return (B, 4) first and last pixels x0, y0, x1, y1."""
    rows = [(r.x, r.y, r.x + r.width - 1, r.y + r.height - 1) for r in regions]
    return np.array(rows, np.int64)


def _filled(boxes: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Return the pixels (B, H, W) bool of boxes (B, 4)."""
    y, x = (torch.arange(size, device=boxes.device) for size in size_hw)
    columns = (x >= boxes[:, :1]) & (x <= boxes[:, 2:3])
    rows = (y >= boxes[:, 1:2]) & (y <= boxes[:, 3:])
    return rows[:, :, None] & columns[:, None]
