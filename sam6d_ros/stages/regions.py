"""Looking in a region of the image only: between the stages, so that it suits every backend.

The proposals are made of the whole image, because a table or a wall is known by its extent; what
is searched and what is returned is restricted. Comparisons still see the whole image, so that an
object on the region's edge is judged in full.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sam6d_ros.geometry.region import Region
from sam6d_ros.types import Detections, Proposals

MARGIN = 0.25  # of the region's longer side: what straddles the edge keeps its parts outside
MIN_SHARE_INSIDE = 0.5  # of a detection's mask: an object belongs where most of it is seen


def proposals_in_region(proposals: Proposals, region: Region) -> Proposals:
    """The proposals that reach into the region, cut off at a margin around it."""
    touching = proposals.masks[(slice(None), *region.slices)].any((1, 2))
    masks = np.zeros((int(touching.sum()), *proposals.masks.shape[1:]), bool)
    window = (slice(None), *region.grown(MARGIN).slices)
    masks[window] = proposals.masks[touching][window]
    reason = proposals.reason or f"nothing stands out in the {region}"
    return Proposals(masks, proposals.scores[touching], "" if len(masks) else reason)


def detections_in_region(detections: Detections, region: Region) -> Detections:
    """The detections that lie in the region for the most part."""
    inside = [d for d in detections.items if region.share_of(d.mask) >= MIN_SHARE_INSIDE]
    if detections.items and not inside:
        return Detections.empty(f"what was found lies outside the {region}")
    return replace(detections, items=tuple(inside))
