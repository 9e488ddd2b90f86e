"""Search areas: where in a frame the boxes of a 2D detector allow which object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.geometry.region import Region
from sam6d_ros.geometry.units import NS_PER_S
from sam6d_ros.types import Boxes, Frame

# Detectors pass the stamp of the image on; drivers may round it to microseconds.
STAMP_TOLERANCE_NS = 1_000_000


@dataclass(frozen=True, eq=False)
class Area:
    """Part of an image where a detector reported an object.

    Attributes:
        region: the box, cut at the image's edges.
        class_ids: names of the objects that the class of the box stands for.
        mask: (H, W) bool, the pixels of the instance, or None.
    """

    region: Region
    class_ids: frozenset[str]
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class SearchAreas:
    """Areas of one frame.

    Attributes:
        items: the usable boxes.
        everywhere: names of the objects that the detector does not report; they are searched in
            the whole frame.
        left_out: for each kind of unusable boxes their number and the reason.
        unreported: for each object whose stated classes the detector does not have, what follows.
    """

    items: tuple[Area, ...]
    everywhere: frozenset[str]
    left_out: tuple[str, ...] = ()
    unreported: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about these boxes."""
        return self.left_out + self.unreported

    def of_objects(self, names: Collection[str]) -> SearchAreas:
        """Return the areas of these objects only.

        Args:
            names: class ids of the objects.
        """
        allowed = [replace(a, class_ids=a.class_ids.intersection(names)) for a in self.items]
        kept = tuple(area for area in allowed if area.class_ids)
        return replace(self, items=kept, everywhere=self.everywhere.intersection(names))

    @property
    def need_proposals(self) -> bool:
        """Whether regions of the frame are needed: some area has no mask."""
        return bool(self.everywhere) or any(area.mask is None for area in self.items)

    @property
    def are_boxes(self) -> bool:
        """Whether boxes alone bound the search: no object everywhere, no area with a mask."""
        alone = bool(self.items) and not self.everywhere
        return alone and all(area.mask is None for area in self.items)

    @property
    def reason(self) -> str:
        """Reason of an empty result."""
        return "; ".join(("the detector reported none of the objects", *self.left_out))


def areas_of(boxes: Boxes, frame: Frame, settings: Mapping[str, ObjectSettings]) -> SearchAreas:
    """Return the search areas that the boxes give.

    An object is searched in the boxes of its classes: ``detector_classes``, or its name. It is
    searched in the whole frame if the detector cannot report it: none of its classes is among
    ``boxes.classes``; where those are unknown, it states no ``detector_classes`` and no box has
    its name.

    Args:
        boxes: boxes of a detector.
        frame: the frame they belong to.
        settings: of all loaded objects, by name.

    Returns:
        The areas; boxes of another image, outside the image, without depth or of a class of no
        object are left out.
    """
    named = _by_class(settings)
    possible = set(boxes.labels if boxes.classes is None else boxes.classes)
    everywhere = frozenset(
        name
        for name, own in settings.items()
        if not possible.intersection(own.detector_classes or (name,))
        and not (boxes.classes is None and own.detector_classes)
    )
    unreported = tuple(
        f"the detector has no class {', '.join(map(repr, settings[name].detector_classes))}: "
        f"the object {name!r} is searched in the whole frame"
        for name in sorted(everywhere)
        if settings[name].detector_classes
    )
    if problem := _of_another_image(boxes, frame):
        return SearchAreas((), everywhere, (problem,), unreported)
    found, left_out = [], Counter[str]()
    for index, label in enumerate(boxes.labels):
        mask = None if boxes.masks is None else boxes.masks[index]
        region = _inside(boxes.xyxy[index], frame)
        if label not in named:
            left_out[f"of class {label!r}, which no object has"] += 1
        elif region is None:
            left_out[f"of class {label!r} outside the image"] += 1
        elif not _measured(frame, region, mask):
            left_out[f"of class {label!r} without depth"] += 1
        else:
            found.append(Area(region, named[label], mask))
    texts = tuple(f"{n} {'box' if n == 1 else 'boxes'} {why}" for why, n in left_out.items())
    return SearchAreas(tuple(found), everywhere, texts, unreported)


def _by_class(settings: Mapping[str, ObjectSettings]) -> dict[str, frozenset[str]]:
    """Return the names of the objects of each class."""
    found: dict[str, frozenset[str]] = {}
    for name, own in settings.items():
        for label in own.detector_classes or (name,):
            found[label] = found.get(label, frozenset()) | {name}
    return found


def _of_another_image(boxes: Boxes, frame: Frame) -> str:
    """Return why no box belongs to the frame; empty if they do."""
    off_ns = boxes.stamp_ns - frame.stamp_ns
    if len(boxes) and abs(off_ns) > STAMP_TOLERANCE_NS:
        return (
            f"{len(boxes)} boxes of another image: their stamp is {off_ns / NS_PER_S:+.3f} s off "
            f"the frame's, at most {STAMP_TOLERANCE_NS / NS_PER_S} s is accepted"
        )
    if boxes.masks is not None and boxes.masks.shape[1:] != frame.depth.shape:
        return (
            f"{len(boxes)} boxes of another image: their masks are {boxes.masks.shape[1:]}, the "
            f"frame {frame.depth.shape} (height, width)"
        )
    return ""


def _inside(xyxy: NDArray[np.float32], frame: Frame) -> Region | None:
    """Return the pixels that a box touches; None where it lies outside the image."""
    height, width = frame.depth.shape
    left, top = np.floor(np.clip(xyxy[:2], 0, (width, height))).astype(int).tolist()
    right, bottom = np.ceil(np.clip(xyxy[2:], 0, (width, height))).astype(int).tolist()
    if right <= left or bottom <= top:
        return None
    return Region(left, top, right - left, bottom - top)


def _measured(frame: Frame, region: Region, mask: NDArray[np.bool_] | None) -> bool:
    inside = frame.depth[region.slices] > 0
    return bool((inside if mask is None else inside & mask[region.slices]).any())
