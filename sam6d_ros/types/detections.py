"""Proposals and detections: regions of a frame, and instances named in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.types.frame import Frame
from sam6d_ros.types.ids import named
from sam6d_ros.types.masks import check_mask, check_mask_sizes, mask_box


@dataclass(frozen=True)
class Proposals:
    """Regions of one frame that may show an object each.

    Attributes:
        masks: (N, H, W) bool.
        scores: (N,) float32 in [0, 1], how well-bounded the region is.
        reason: why there is none, when there is none.
        class_ids: for each region the names of the objects that it may show, None for any object;
            any object in every region where nothing is stated.
        merged: whether a region may hold several objects.
        windows: by the name of an object the pixels (H, W) bool where it is searched; everywhere in
            the regions that allow it where nothing is stated.

    Raises:
        InvalidInput: lengths, shapes or types disagree, or a score is out of its range.
    """

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    reason: str = ""
    class_ids: tuple[frozenset[str] | None, ...] = ()
    merged: bool = False
    windows: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        masks, scores = self.masks, self.scores
        if not self.class_ids:
            object.__setattr__(self, "class_ids", (None,) * len(masks))
        if masks.ndim != 3 or masks.dtype != bool:
            raise InvalidInput(f"masks are {masks.shape} {masks.dtype}; expected (N, H, W) bool")
        if scores.shape != (len(masks),) or scores.dtype != np.float32:
            raise InvalidInput(
                f"scores are {scores.shape} {scores.dtype} for {len(masks)} masks; expected "
                f"({len(masks)},) float32"
            )
        if not ((scores >= 0) & (scores <= 1)).all():
            raise InvalidInput(f"scores {scores.tolist()} are not all in [0, 1]")
        if len(self.class_ids) != len(masks):
            raise InvalidInput(
                f"class_ids has {len(self.class_ids)} entries for {len(masks)} masks; expected one "
                "for each"
            )

    def allows(self, index: int, name: str) -> bool:
        """Return whether a region may show the object of this name.

        Args:
            index: number of the region.
            name: class id of the object.
        """
        allowed = self.class_ids[index]
        return allowed is None or name in allowed

    @classmethod
    def empty(cls, frame: Frame, reason: str) -> Proposals:
        """Return no region, with the reason.

        Args:
            frame: the image.
            reason: for people.
        """
        return cls(np.zeros((0, *frame.depth.shape), bool), np.zeros(0, np.float32), reason)

    def check_size(self, frame: Frame) -> None:
        """Refuse regions of another image.

        Args:
            frame: the image.

        Raises:
            InvalidInput: the masks have not the frame's size.
        """
        if len(self) and self.masks.shape[1:] != frame.depth.shape:
            raise InvalidInput(
                f"masks are {self.masks.shape[1:]}, the frame {frame.depth.shape} (height, width); "
                "give regions of this frame"
            )

    def __len__(self) -> int:
        return len(self.masks)


@dataclass(frozen=True)
class Detection:
    """One instance found in the image.

    Attributes:
        class_id: the object's name in the objects file.
        score: in [0, 1].
        mask: (H, W) bool, the visible pixels of the instance.
        instance_id: name of the physical object, constant across frames when tracked; empty until
            ``Detections`` gives it.
        pose_hints: (K, 4, 4) rough cam_from_obj that the detector met on its way, best first;
            often none. They spare the pose stage work and are never taken as they are.

    Raises:
        InvalidInput: no class is named, the score is out of its range, or the mask or the hints
            are of another shape or type.
    """

    class_id: str
    score: float
    mask: NDArray[np.bool_]
    instance_id: str = ""
    pose_hints: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4, 4)))

    def __post_init__(self) -> None:
        if not self.class_id:
            raise InvalidInput("a detection has an empty class_id; expected the name of an object")
        if not 0 <= self.score <= 1:
            raise InvalidInput(
                f"detection of {self.class_id!r} has score {self.score}; expected [0, 1]"
            )
        check_mask(self.mask, self.class_id)
        if self.pose_hints.shape[1:] != (4, 4):
            raise InvalidInput(
                f"pose hints of {self.class_id!r} are {self.pose_hints.shape}; expected (K, 4, 4)"
            )

    @property
    def bbox_xywh(self) -> tuple[int, int, int, int]:
        """Tight box (x, y, width, height) of the mask in pixels; zeros when it is empty."""
        return mask_box(self.mask)


@dataclass(frozen=True)
class Detections:
    """All instances of one frame.

    Attributes:
        items: the instances; their ids are unique and never empty. One given without an id gets
            the next free ``<class>_<number>``.
        reason: why there is none, when there is none.
        unsearched: names of objects that were not searched for lack of time.

    Raises:
        InvalidInput: two instances have one id.
    """

    items: tuple[Detection, ...]
    reason: str = ""
    unsearched: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", named(self.items))

    @classmethod
    def empty(cls, reason: str) -> Detections:
        """Return no instance, with the reason.

        Args:
            reason: for people.
        """
        return cls((), reason)

    def check_size(self, frame: Frame) -> None:
        """Refuse masks of another image.

        Args:
            frame: the image.

        Raises:
            InvalidInput: a mask has not the frame's size.
        """
        check_mask_sizes(self.items, frame)

    def __len__(self) -> int:
        return len(self.items)
