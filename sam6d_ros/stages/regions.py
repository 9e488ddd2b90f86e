"""Restriction of the search to parts of the image: between the stages, for every backend.

The proposals are made of the whole image, because a table or a wall is recognised by its extent;
the search and the results are restricted. Comparisons still use the whole image, so that an
object on an edge is compared in full.
"""

from __future__ import annotations

from dataclasses import replace

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
    """Return the proposals that reach into the region, cut off at a margin around it.

    Args:
        proposals: regions of the frame.
        region: rectangle of the image.
    """
    touching = proposals.masks[(slice(None), *region.slices)].any((1, 2))
    masks = np.zeros((int(touching.sum()), *proposals.masks.shape[1:]), bool)
    window = (slice(None), *region.grown(MARGIN).slices)
    masks[window] = proposals.masks[touching][window]
    reason = proposals.reason or f"nothing stands out in the {region}"
    allowed = tuple(proposals.class_ids[i] for i in np.flatnonzero(touching))
    scores = proposals.scores[touching]
    reason = "" if len(masks) else reason
    return Proposals(masks, scores, reason, allowed, proposals.merged, proposals.windows)


def detections_in_region(detections: Detections, region: Region) -> Detections:
    """Return the detections that lie in the region for the most part.

    Args:
        detections: instances in the frame.
        region: rectangle of the image.
    """
    inside = [d for d in detections.items if region.share_of(d.mask) >= MIN_SHARE_INSIDE]
    if detections.items and not inside:
        reason = f"what was found lies outside the {region}"
        return replace(detections, items=(), reason=reason)
    return replace(detections, items=tuple(inside))


def proposals_in_areas(proposals: Proposals, areas: SearchAreas, frame: Frame) -> Proposals:
    """Return the regions that the search areas need, each with the objects that are allowed there.

    A mask of the detector is a region. A box allows its objects in the proposals that lie in it.
    Those that may hold several objects keep their extent, and are searched in the box only. A box
    without any proposal, that of a flat object on a table for example, is itself a region: its
    pixels with depth.

    Args:
        proposals: regions of the frame.
        areas: boxes and masks of a detector.
        frame: the image.
    """
    allowed: list[frozenset[str]] = [areas.everywhere] * len(proposals)
    own: list[tuple[NDArray[np.bool_], frozenset[str]]] = []
    for area in areas.items:
        inside = [] if area.mask is not None else _in_box(proposals, area)
        for index in inside:
            allowed[index] |= area.class_ids
        if not inside:
            own.append((_pixels(frame, area), area.class_ids))
    kept = [index for index, names in enumerate(allowed) if names]
    if not own and not kept:
        return Proposals.empty(frame, proposals.reason or areas.reason)
    return Proposals(
        np.stack([*proposals.masks[kept], *(mask for mask, _ in own)]),
        np.append(proposals.scores[kept], np.ones(len(own), np.float32)),
        class_ids=(*(allowed[index] for index in kept), *(names for _, names in own)),
        merged=proposals.merged,
        windows=_windows(areas, frame) if proposals.merged else {},
    )


def detections_in_areas(detections: Detections, areas: SearchAreas) -> Detections:
    """Return the detections that lie for the most part in an area that allows their object.

    Args:
        detections: instances in the frame.
        areas: boxes and masks of a detector.
    """

    def lies_inside(found: Detection) -> bool:
        return found.class_id in areas.everywhere or any(
            found.class_id in area.class_ids
            and area.region.grown(BOX_MARGIN).share_of(found.mask) >= MIN_SHARE_INSIDE
            for area in areas.items
        )

    inside = tuple(filter(lies_inside, detections.items))
    if detections.items and not inside:
        reason = "what was found lies outside the boxes of its classes"
        return replace(detections, items=(), reason=reason)
    return replace(detections, items=inside)


def _in_box(proposals: Proposals, area: Area) -> list[int]:
    """Return the proposals that lie in a box for the most part, or fill a part of it."""
    region = area.region
    inside = proposals.masks[(slice(None), *region.grown(BOX_MARGIN).slices)].sum((1, 2))
    enough = inside >= MIN_SHARE_INSIDE * proposals.masks.sum((1, 2))
    if proposals.merged:
        enough |= inside >= MIN_SHARE_OF_BOX * region.width * region.height
    return np.flatnonzero(enough & (inside > 0)).tolist()


def _pixels(frame: Frame, area: Area) -> NDArray[np.bool_]:
    """Return the mask of an area, or the pixels with depth in its box."""
    if area.mask is not None:
        return area.mask
    mask = np.zeros(frame.depth.shape, bool)
    mask[area.region.slices] = frame.depth[area.region.slices] > 0
    return mask


def _windows(areas: SearchAreas, frame: Frame) -> dict[str, NDArray[np.bool_]]:
    """Return by object where its boxes are; nothing for what is searched everywhere."""
    windows: dict[str, NDArray[np.bool_]] = {}
    for area in areas.items:
        for name in area.class_ids - areas.everywhere:
            window = windows.setdefault(name, np.zeros(frame.depth.shape, bool))
            window[area.region.grown(BOX_MARGIN).slices] = True
    return windows
