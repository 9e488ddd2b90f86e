"""The typed values that flow from stage to stage: frozen, validated where data enters.

The constructors raise ``InvalidInput``; inside a stage ``errors.own_results`` turns it into
``InvariantError``, for our own results.

Conventions: metres, camera optical frame (x right, y down, z forward), images RGB, depth float32
metres with 0 = invalid, transforms named ``target_from_source``.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidFrame, InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics

__all__ = [
    "Alternative",
    "Boxes",
    "CameraIntrinsics",
    "Candidates",
    "Detection",
    "Detections",
    "Frame",
    "InstanceCandidates",
    "PoseEstimate",
    "PoseEstimates",
    "Proposals",
    "Scene",
]

T = TypeVar("T")

# Farther than any robot camera measures; more says that millimetres were taken for metres.
MAX_PLAUSIBLE_DEPTH_M = 100.0


@dataclass(frozen=True, eq=False)  # equal is only the same frame: it is a key of caches
class Frame:
    """One registered RGB-D frame.

    Attributes:
        rgb: (H, W, 3) uint8, RGB.
        depth: (H, W) float32, metres along z, 0 where there is no measurement.
        camera: intrinsics of both images (depth is registered to colour).
        stamp_ns: time of capture in nanoseconds.
        frame_id: name of the camera optical frame.

    Raises:
        InvalidFrame: shapes or types disagree, depth is not finite, or looks like millimetres.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: CameraIntrinsics
    stamp_ns: int = 0
    frame_id: str = "camera_optical_frame"

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.uint8:
            raise InvalidFrame(
                f"rgb is {self.rgb.shape} {self.rgb.dtype}; expected (H, W, 3) uint8"
            )
        if self.depth.shape != self.rgb.shape[:2]:
            raise InvalidFrame(
                f"depth is {self.depth.shape} but rgb is {self.rgb.shape}; "
                "use the depth image registered to colour (aligned_depth_to_color)"
            )
        if self.depth.shape != size:
            raise InvalidFrame(
                f"images are {self.depth.shape} but the intrinsics are for {size} (height, width); "
                "give those of this colour image"
            )
        if self.depth.dtype != np.float32:
            raise InvalidFrame(f"depth is {self.depth.dtype}; expected float32 metres")
        # NaN passes through min and max, and both cost little: every frame comes through here.
        low, high = self.depth.min(initial=0), self.depth.max(initial=0)
        if not (low >= 0 and high < np.inf):
            raise InvalidFrame(
                "depth has NaN, infinite or negative values; mark invalid pixels by 0"
            )
        if high > MAX_PLAUSIBLE_DEPTH_M:
            typical = np.median(self.depth[self.depth > 0])
            if typical > MAX_PLAUSIBLE_DEPTH_M:
                raise InvalidFrame(
                    f"median depth is {typical:.0f} m; is the image in millimetres? "
                    "divide by 1000 (depth_scale)"
                )

    @property
    def has_depth(self) -> bool:
        """Whether any pixel carries a measurement."""
        return bool(self.depth.any())


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of one image, as a 2D detector returns them.

    Attributes:
        xyxy: (N, 4) float32, pixels: left, top, right, bottom edge; 0 is the outer edge of the
            first pixel, so that a box of the whole image is (0, 0, width, height).
        labels: N class names.
        scores: (N,) float32 in [0, 1].
        masks: (N, H, W) bool, the pixels of each instance, or None.
        stamp_ns: time of capture of the image in nanoseconds.

    Raises:
        InvalidInput: lengths, shapes or types disagree, or a value is out of its range.
    """

    xyxy: NDArray[np.float32]
    labels: tuple[str, ...]
    scores: NDArray[np.float32]
    masks: NDArray[np.bool_] | None = None
    stamp_ns: int = 0

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.xyxy.shape != (count, 4) or self.scores.shape != (count,):
            raise InvalidInput(
                f"boxes are {self.xyxy.shape} and scores {self.scores.shape} for {count} labels; "
                f"expected ({count}, 4) and ({count},)"
            )
        if self.xyxy.dtype != np.float32 or self.scores.dtype != np.float32:
            raise InvalidInput(
                f"boxes are {self.xyxy.dtype} and scores {self.scores.dtype}; expected float32"
            )
        if not np.isfinite(self.xyxy).all():
            raise InvalidInput("a box has NaN or infinite edges")
        turned = (self.xyxy[:, 2:] < self.xyxy[:, :2]).any(axis=1)
        if turned.any():
            raise InvalidInput(
                f"box {self.xyxy[turned][0].tolist()} ends before it begins; "
                "expected (left, top, right, bottom)"
            )
        if not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise InvalidInput(f"scores {self.scores.tolist()} are not all in [0, 1]")
        masks = self.masks
        if masks is not None and (masks.ndim != 3 or len(masks) != count or masks.dtype != bool):
            raise InvalidInput(f"masks are {masks.shape} {masks.dtype}; expected ({count}, H, W)")

    @classmethod
    def empty(cls, stamp_ns: int = 0) -> Boxes:
        """Return no box."""
        return cls(np.zeros((0, 4), np.float32), (), np.zeros(0, np.float32), None, stamp_ns)

    def __len__(self) -> int:
        return len(self.labels)


class Scene:
    """One frame and what the stages derive from it, computed once and freed with the scene.

    Attributes:
        frame: the frame.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._derived: dict[Callable[[Frame], Any], Any] = {}
        self._lock = threading.RLock()

    @classmethod
    def of(cls, frame: Frame | Scene) -> Scene:
        """Return the scene of a frame; a scene is returned as it is."""
        return frame if isinstance(frame, Scene) else cls(frame)

    def derived(self, build: Callable[[Frame], T]) -> T:
        """Return ``build(frame)``, computed at the first call; other threads wait for it.

        Args:
            build: a function at module level, which identifies the value.
        """
        with self._lock:
            if build not in self._derived:
                self._derived[build] = build(self.frame)
            value: T = self._derived[build]
        return value


@dataclass(frozen=True)
class Proposals:
    """Class-agnostic regions of one frame that may be one object each.

    Attributes:
        masks: (N, H, W) bool.
        scores: (N,) float32 in [0, 1], how well-bounded the region is.
        reason: why there is none, when there is none.

    Raises:
        InvalidInput: lengths, shapes or types disagree, or a score is out of its range.
    """

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    reason: str = ""

    def __post_init__(self) -> None:
        masks, scores = self.masks, self.scores
        if masks.ndim != 3 or masks.dtype != bool:
            raise InvalidInput(f"masks are {masks.shape} {masks.dtype}; expected (N, H, W) bool")
        if scores.shape != (len(masks),) or scores.dtype != np.float32:
            raise InvalidInput(
                f"scores are {scores.shape} {scores.dtype} for {len(masks)} masks; expected "
                f"({len(masks)},) float32"
            )
        if not ((scores >= 0) & (scores <= 1)).all():
            raise InvalidInput(f"scores {scores.tolist()} are not all in [0, 1]")

    @classmethod
    def empty(cls, frame: Frame, reason: str) -> Proposals:
        """No region, with the reason."""
        return cls(np.zeros((0, *frame.depth.shape), bool), np.zeros(0, np.float32), reason)

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
        if self.mask.ndim != 2 or self.mask.dtype != bool:
            raise InvalidInput(
                f"mask of {self.class_id!r} is {self.mask.shape} {self.mask.dtype}; "
                "expected (H, W) bool"
            )
        if self.pose_hints.shape[1:] != (4, 4):
            raise InvalidInput(
                f"pose hints of {self.class_id!r} are {self.pose_hints.shape}; expected (K, 4, 4)"
            )

    @property
    def bbox_xywh(self) -> tuple[int, int, int, int]:
        """Tight box (x, y, width, height) of the mask in pixels; zeros when it is empty."""
        rows, cols = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        if rows.size == 0:
            return (0, 0, 0, 0)
        size = (int(cols[-1] - cols[0] + 1), int(rows[-1] - rows[0] + 1))
        return (int(cols[0]), int(rows[0]), *size)


_Item = TypeVar("_Item", "Detection", "PoseEstimate")


def _named(items: tuple[_Item, ...]) -> tuple[_Item, ...]:
    """Return the items; those without an id under the next free ``<class>_<number>``, from 0.

    Raises:
        InvalidInput: two items have one id: it names one physical object.
    """
    given = Counter(item.instance_id for item in items if item.instance_id)
    if twice := [name for name, count in given.items() if count > 1]:
        raise InvalidInput(f"several instances have the id {twice[0]!r}; expected one each")
    next_number: Counter[str] = Counter()
    named = []
    for item in items:
        name = item.instance_id
        while not name:
            free = f"{item.class_id}_{next_number[item.class_id]}"
            next_number[item.class_id] += 1
            name = "" if free in given else free
        named.append(item if item.instance_id else replace(item, instance_id=name))
    return tuple(named)


@dataclass(frozen=True)
class Detections:
    """All instances of one frame.

    Attributes:
        items: the instances; their ids are unique and never empty. One given without an id gets
            the next free ``<class>_<number>``.
        reason: why there is none, when there is none.

    Raises:
        InvalidInput: two instances have one id.
    """

    items: tuple[Detection, ...]
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", _named(self.items))

    @classmethod
    def empty(cls, reason: str) -> Detections:
        """No instance, with the reason."""
        return cls((), reason)

    def check_size(self, frame: Frame) -> None:
        """Refuse masks of another image.

        Raises:
            InvalidInput: a mask has not the frame's size.
        """
        expected = frame.depth.shape
        for item in self.items:
            if item.mask.shape != expected:
                raise InvalidInput(
                    f"mask of {item.instance_id!r} is {item.mask.shape}, the frame {expected} "
                    "(height, width); give detections of this frame"
                )

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class InstanceCandidates:
    """Hypotheses of the pose of one detected instance, best first.

    Attributes:
        class_id, instance_id: of the detection.
        cam_from_obj: (K, 4, 4) float64, poses of the CAD origin in the camera optical frame,
            metres; K is 1 or more.
        score: (K,) float in [0, 1], comparable within one object only.
        mask: (H, W) bool, of the detection.
        agreement: named contributions to the first score, for people.

    Raises:
        InvalidInput: lengths disagree, a score is out of range or a pose is not rigid.
    """

    class_id: str
    instance_id: str
    cam_from_obj: NDArray[np.float64]
    score: NDArray[np.floating]
    mask: NDArray[np.bool_]
    agreement: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        poses, scores = self.cam_from_obj, self.score
        if not len(poses) or scores.shape != (len(poses),):
            raise InvalidInput(
                f"candidates of {self.instance_id!r}: poses are {poses.shape}, scores "
                f"{scores.shape}; expected (K, 4, 4) and (K,) with K of 1 or more"
            )
        for pose in poses:
            se3.check_rigid(pose, "cam_from_obj")
        if not ((scores >= 0) & (scores <= 1)).all():
            raise InvalidInput(f"scores {scores.tolist()} are not all in [0, 1]")

    def best(self) -> PoseEstimate:
        """Return the first hypothesis as an estimate."""
        return PoseEstimate(
            self.class_id,
            float(self.score[0]),
            self.cam_from_obj[0],
            mask=self.mask,
            instance_id=self.instance_id,
            agreement=self.agreement,
        )


@dataclass(frozen=True)
class Candidates:
    """Hypotheses of all instances of one frame: from estimator to refiner, never published.

    Attributes:
        items: one entry per instance.
        reason: why there is none, when there is none.
    """

    items: tuple[InstanceCandidates, ...]
    reason: str = ""

    @classmethod
    def empty(cls, reason: str) -> Candidates:
        """Return no hypothesis, with the reason."""
        return cls((), reason)

    def best(self, frame: Frame) -> PoseEstimates:
        """Return the first hypothesis of each instance: the poses of a backend without refiner."""
        items = tuple(item.best() for item in self.items)
        return PoseEstimates(items, frame.stamp_ns, frame.frame_id, self.reason)

    def __len__(self) -> int:
        return len(self.items)


class Alternative(NamedTuple):
    """Another explanation of what one estimate explains.

    Attributes:
        class_id: the object's name in the objects file.
        cam_from_obj: (4, 4) float64, pose of the CAD origin in the camera optical frame, metres.
        probability: in [0, 1].
    """

    class_id: str
    cam_from_obj: NDArray[np.float64]
    probability: float


@dataclass(frozen=True)
class PoseEstimate:
    """The 6D pose of one instance.

    Attributes:
        class_id: the object's name in the objects file.
        score: in [0, 1]; see docs/conventions.md for its meaning.
        cam_from_obj: (4, 4) float64, pose of the CAD origin in the camera optical frame, metres.
        covariance: (6, 6) of (x, y, z, rotation about x, y, z) in the camera frame
            (m², rad²), or None when unknown.
        mask: (H, W) bool, the pixels that the object explains, or None.
        instance_id: name of the physical object; empty until ``PoseEstimates`` gives it.
        agreement: named contributions to the score, each in [0, 1], for people: no code branches
            on its keys.
        alternatives: other poses or names that the frame does not rule out, most probable first.
        visible: share of the silhouette that nothing hides, in [0, 1]; 1 where it is unknown.
        confirmed: whether the frame shows it; a tracked instance that is hidden is held for a
            while and is not confirmed.
        presence: share of the frames with an agreeing pose, in [0, 1]; 1 for a single frame.
    """

    class_id: str
    score: float
    cam_from_obj: NDArray[np.float64]
    covariance: NDArray[np.float64] | None = None
    mask: NDArray[np.bool_] | None = None
    instance_id: str = ""
    agreement: Mapping[str, float] = field(default_factory=dict)
    alternatives: tuple[Alternative, ...] = ()
    visible: float = 1.0
    confirmed: bool = True
    presence: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "cam_from_obj", se3.check_rigid(self.cam_from_obj, "cam_from_obj"))
        for name in ("score", "visible", "presence"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise InvalidInput(f"{name} {value} is not in [0, 1]")


@dataclass(frozen=True)
class PoseEstimates:
    """All poses of one frame, best first, with the header of the image they come from.

    Attributes:
        items: the poses; their ids are unique and never empty, as those of ``Detections``.
        stamp_ns, frame_id: of the image.
        reason: why there is none, when there is none.
        timings_s: seconds by the name of a stage.

    Raises:
        InvalidInput: two poses have one id.
    """

    items: tuple[PoseEstimate, ...]
    stamp_ns: int
    frame_id: str
    reason: str = ""
    timings_s: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", _named(self.items))

    @classmethod
    def empty(cls, frame: Frame, reason: str) -> PoseEstimates:
        """No pose, with the reason."""
        return cls((), frame.stamp_ns, frame.frame_id, reason)

    def with_timings(self, timings_s: Mapping[str, float]) -> PoseEstimates:
        """The same estimates with other timings."""
        return replace(self, timings_s=dict(timings_s))

    def __len__(self) -> int:
        return len(self.items)
