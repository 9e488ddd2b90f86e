"""Work of tracking sessions in the compute thread: known poses, followed into a frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sam6d_ros.apps.http.schemas.track import KnownPose, TrackRequest
from sam6d_ros.apps.http.work import estimate, segment
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import TrackingConfig
from sam6d_ros.errors import InvalidInput, UnknownName
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.tracking.tracks import TrackedObjects
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates, Scene

# Corrections are of the newest frame here: none before it is kept (108 MB for the default 20 s).
CONFIG = TrackingConfig(buffer_s=0.0)
MAX_DISTANCE_M = 100.0  # of a known pose; depth beyond is refused too


@dataclass(frozen=True)
class Followed:
    """Result of one frame.

    Attributes:
        poses: the followed instances.
        models: the objects at that time, by name.
        notes: warnings about the input, and objects that were removed.
        seconds, timings_s: in all, and of each stage.
    """

    poses: PoseEstimates
    models: Mapping[str, ObjectModel]
    notes: tuple[str, ...]
    seconds: float
    timings_s: Mapping[str, float]


class Following:
    """Instances of one session; used by the compute thread.

    Args:
        objects: registered objects by name.
        key_prefix: begin of the ids in the tracker, of this session only.

    Attributes:
        frames: number of frames since the start.
        newest: result of the newest frame, or None.
    """

    def __init__(self, objects: Callable[[], Mapping[str, ObjectModel]], key_prefix: str) -> None:
        self._engine: Engine | None = None
        self._tracked = TrackedObjects(self._track, objects, CONFIG, key_prefix)
        self.frames = 0
        self.newest: Followed | None = None

    def check_stamp(self, stamp_ns: int) -> None:
        """Refuse a frame that is older than the newest one.

        Raises:
            InvalidInput: with both stamps.
        """
        newest = self.newest.poses.stamp_ns if self.newest else 0
        if stamp_ns < newest:
            raise InvalidInput(
                f"the frame is of {stamp_ns} ns, the newest one of the session of {newest} ns; "
                "send frames in the order of capture, or end the session with DELETE"
            )

    def removed(self, models: Mapping[str, ObjectModel]) -> tuple[str, ...]:
        """Return notes about followed objects that are no longer registered as they were."""
        notes = []
        before = self.newest.models if self.newest else {}
        followed = {pose.class_id for pose in self.newest.poses.items} if self.newest else set()
        for name in sorted(followed):
            if name not in models:
                notes.append(f"the object {name!r} was removed; it is followed no longer")
            elif models[name].content_hash != before[name].content_hash:
                notes.append(f"the object {name!r} was replaced; its instances are dropped")
        return tuple(notes)

    def step(
        self, engine: Engine, frame: Frame, given: PoseEstimates | None, searched: Sequence[str]
    ) -> PoseEstimates:
        """Follow all instances into a frame, and take poses in that it shows."""
        self._engine = engine
        try:
            return self._tracked.step(frame, given, searched)
        finally:
            self._engine = None

    def _track(self, frame: Frame, poses: PoseEstimates) -> PoseEstimates:
        assert self._engine is not None  # only step() calls the tracker
        return self._engine.track(frame, poses)


def follow(
    engine: Engine,
    ctx: RunContext,
    following: Following,
    frame: Frame,
    body: TrackRequest,
    names: Sequence[str],
    given: PoseEstimates | None,
) -> Followed:
    """Bring the instances of a session to a frame.

    Args:
        names: objects to search, if the request demands it.
        given: known poses in this frame, or None.
        engine: the engine.
        ctx: timings and checkpoint.
        following: state of the session.
        frame: the image.
        body: the request.

    Returns:
        Poses in this frame, and notes.

    Raises:
        InvalidInput: the frame is older than the newest one.
        InvalidMesh: no object can be in this scene, by its size.
    """
    start = time.perf_counter()
    following.check_stamp(frame.stamp_ns)
    notes = following.removed(engine.objects)
    if body.detect:
        given, warnings = _detected(engine, ctx, frame, body, names)
        notes += warnings
    with ctx.stage("track"):
        poses = following.step(engine, frame, given, names)
    poses, more = _explained(poses, given)
    timings_s = dict(ctx.timings.seconds)
    result = Followed(poses, engine.objects, notes + more, time.perf_counter() - start, timings_s)
    following.newest, following.frames = result, following.frames + 1
    return result


def _detected(
    engine: Engine, ctx: RunContext, frame: Frame, body: TrackRequest, names: Sequence[str]
) -> tuple[PoseEstimates, tuple[str, ...]]:
    scene = Scene(frame)
    segmented = segment(engine, ctx, scene, names, body)
    estimated = estimate(engine, ctx, scene, segmented.found, body)
    return estimated.poses, segmented.notes


def _explained(
    poses: PoseEstimates, given: PoseEstimates | None
) -> tuple[PoseEstimates, tuple[str, ...]]:
    """Return the result with the reason if it is empty, and a note if the frame shows less."""
    if given is None:
        return poses, ()
    confirmed = sum(pose.confirmed for pose in poses.items)
    if confirmed >= len(given) > 0:
        return poses, ()
    text = given.reason or (
        f"the frame confirms {confirmed} of {len(given)} poses; the score of the others in it is "
        f"below {CONFIG.confirm_score:g}"
    )
    return (poses, (text,)) if len(poses) else (replace(poses, reason=text), ())


def known_poses(
    body: TrackRequest, frame: Frame, names: Sequence[str], models: Mapping[str, ObjectModel]
) -> PoseEstimates | None:
    """Return the poses of a request, or None if it has none.

    Args:
        names: objects that the request names.
        models: registered objects by name.
        body: the request.
        frame: the image.

    Raises:
        UnknownName: a pose is of an object that is not registered.
        InvalidInput: one is no pose before the camera.
    """
    if body.poses is None:
        return None
    items = []
    for index, known in enumerate(body.poses):
        name = known.name or (names[0] if len(names) == 1 else "")
        if not name:
            raise InvalidInput(f"poses[{index}] has no name; the objects are {list(names)}")
        if name not in models:
            raise UnknownName(f"no object is named {name!r:.100}; there are {list(models)}")
        items.append(_known_pose(known, index, name, body.units))
    return PoseEstimates(tuple(items), frame.stamp_ns, frame.frame_id)


def _known_pose(known: KnownPose, index: int, name: str, units: str) -> PoseEstimate:
    scale = 1.0 / MM_PER_M if units == "mm" else 1.0
    translation = scale * np.array(known.translation)
    if not (0 < translation[2] < MAX_DISTANCE_M and np.abs(translation).max() < MAX_DISTANCE_M):
        raise InvalidInput(
            f"poses[{index}] has the translation {known.translation} {units}; expected a place "
            f"before the camera and nearer than {MAX_DISTANCE_M:g} m"
        )
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = known.rotation, translation
    cam_from_obj = se3.check_rigid(matrix, f"rotation of poses[{index}]")
    return PoseEstimate(name, known.confidence, cam_from_obj)
