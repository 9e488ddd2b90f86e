"""Restriction of the search to parts of the image: between the stages, for every backend.

The proposals are made of the whole image, because a table or a wall is recognised by its extent;
the search and the results are restricted. Comparisons still use the whole image, so that an
object on an edge is compared in full.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.region import Region
from sam6d_ros.stages.areas import Area, SearchAreas
from sam6d_ros.types import Detection, Detections, Frame, Proposals

MARGIN = 0.25  # of the region's longer side: an object on the edge keeps its parts outside
BOX_MARGIN = 0.1  # of the longer side of a detector's box, whose edges are off by some percent
MIN_SHARE_INSIDE = 0.5  # of a mask: an object belongs where most of its visible pixels lie
MIN_SHARE_OF_BOX = 0.02  # of a box: less of a larger region is a neighbour that touches it


def proposals_in_region(proposals: Proposals, region: Region) -> Proposals:
    """Return the proposals that reach into the region, cut off at a margin around it."""
    touching = proposals.masks[(slice(None), *region.slices)].any((1, 2))
    masks = np.zeros((int(touching.sum()), *proposals.masks.shape[1:]), bool)
    window = (slice(None), *region.grown(MARGIN).slices)
    masks[window] = proposals.masks[touching][window]
    reason = proposals.reason or f"nothing stands out in the {region}"
    allowed = tuple(proposals.class_ids[i] for i in np.flatnonzero(touching))
    scores = proposals.scores[touching]
    return replace(
        proposals,
        masks=masks,
        scores=scores,
        class_ids=allowed,
        reason="" if len(masks) else reason,
    )


def detections_in_region(detections: Detections, region: Region) -> Detections:
    """Return the detections that lie in the region for the most part."""
    inside = [d for d in detections.items if region.share_of(d.mask) >= MIN_SHARE_INSIDE]
    if detections.items and not inside:
        return Detections.empty(f"what was found lies outside the {region}")
    return replace(detections, items=tuple(inside))


@dataclass(frozen=True, eq=False)
class _Part:
    """Region of the search: pixels, score, allowed objects."""

    mask: NDArray[np.bool_]
    score: float
    class_ids: frozenset[str]


def proposals_in_areas(proposals: Proposals, areas: SearchAreas, frame: Frame) -> Proposals:
    """Return the regions of the search areas, each with the objects that are allowed there.

    A mask of the detector is a region. A box holds the proposals that lie in it; those that may
    hold several objects are cut off at a margin around it. A box without any, that of a flat
    object on a table for example, is itself a region: its pixels with depth.
    """
    allowed: list[frozenset[str]] = [areas.everywhere] * len(proposals)
    parts: list[_Part] = []
    for area in areas.items:
        if area.mask is not None:
            parts.append(_Part(area.mask, 1.0, area.class_ids))
            continue
        whole, cut = _in_box(proposals, area)
        for index in whole:
            allowed[index] |= area.class_ids
        parts += cut or ([] if whole else [_measured_box(frame, area)])
    parts += [
        _Part(mask, float(score), names)
        for mask, score, names in zip(proposals.masks, proposals.scores, allowed, strict=True)
        if names
    ]
    if not parts:
        return Proposals.empty(frame, proposals.reason or areas.reason)
    return Proposals(
        np.stack([part.mask for part in parts]),
        np.array([part.score for part in parts], np.float32),
        class_ids=tuple(part.class_ids for part in parts),
        merged=proposals.merged,
    )


def detections_in_areas(detections: Detections, areas: SearchAreas) -> Detections:
    """Return the detections that lie for the most part in an area that allows their object."""

    def lies_inside(found: Detection) -> bool:
        return found.class_id in areas.everywhere or any(
            found.class_id in area.class_ids
            and area.region.grown(BOX_MARGIN).share_of(found.mask) >= MIN_SHARE_INSIDE
            for area in areas.items
        )

    inside = tuple(filter(lies_inside, detections.items))
    if detections.items and not inside:
        return Detections.empty("what was found lies outside the boxes of its classes")
    return replace(detections, items=inside)


def _in_box(proposals: Proposals, area: Area) -> tuple[list[int], list[_Part]]:
    """Return the proposals that lie in a box, as indices, and the parts of those that are cut."""
    grown = area.region.grown(BOX_MARGIN)
    inside = proposals.masks[(slice(None), *grown.slices)].sum((1, 2))
    whole, parts = [], []
    for index in np.flatnonzero(inside):
        mask = proposals.masks[index]
        mostly = inside[index] >= MIN_SHARE_INSIDE * mask.sum()
        if not proposals.merged:
            whole += [int(index)] if mostly else []
        elif mostly or inside[index] >= MIN_SHARE_OF_BOX * area.region.width * area.region.height:
            part = np.zeros_like(mask)
            part[grown.slices] = mask[grown.slices]
            parts.append(_Part(part, float(proposals.scores[index]), area.class_ids))
    return whole, parts


def _measured_box(frame: Frame, area: Area) -> _Part:
    """Return the pixels with depth of a box."""
    mask = np.zeros(frame.depth.shape, bool)
    mask[area.region.slices] = frame.depth[area.region.slices] > 0
    return _Part(mask, float(mask[area.region.slices].mean()), area.class_ids)
