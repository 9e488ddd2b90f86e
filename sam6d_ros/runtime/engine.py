"""The engine: loads one or both halves of the pipeline once and runs them, one frame at a time.

Every shell (command line, ROS node, server) drives this class. It knows nothing of them: errors
go up to the caller, who turns them into an exit code, a diagnostic or a response.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.objects import ObjectEntry, load_entry
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig, InvalidInput, InvalidObjects
from sam6d_ros.geometry.region import Region
from sam6d_ros.pipeline import (
    PoseEstimation,
    RunContext,
    Segmentation,
    build_pose_estimation,
    build_segmentation,
    build_tracking,
)
from sam6d_ros.runtime.warmup import warm_up_input, warm_up_poses
from sam6d_ros.stages.protocols import Tracker
from sam6d_ros.types import Detections, Frame, PoseEstimates, Scene

ROLES = ("full", "segmentation", "pose", "tracking", "objects")


class State(Enum):
    """What the engine can do now."""

    LOADING = "loading"  # not warmed up yet
    READY = "ready"
    FAILED = "failed"  # the last call broke inside a stage; ``Engine.failure`` says how


class Engine:
    """Owns the objects and the stages; safe to call from several threads (calls queue up).

    Args:
        config: settings of the pipeline.
        cache_dir: where onboarded objects are kept, or None.
        role: "full", or one part ("segmentation", "pose", "tracking") so that a process loads
            only that; "full" does not track, "objects" has no stages at all.
        segmentation, pose_estimation, tracker: use these instead of building them.

    Raises:
        InvalidConfig: unknown role.
        BackendUnavailable, CheckpointError: see ``pipeline.build_segmentation``.
    """

    def __init__(
        self,
        config: PipelineConfig,
        cache_dir: Path | None = None,
        role: str = "full",
        *,
        segmentation: Segmentation | None = None,
        pose_estimation: PoseEstimation | None = None,
        tracker: Tracker | None = None,
    ) -> None:
        if role not in ROLES:
            raise InvalidConfig(f"role {role!r} is unknown; expected one of {ROLES}")
        self.config, self.cache_dir, self.role = config, cache_dir, role
        self.state, self.failure = State.LOADING, ""
        self._lock = threading.RLock()
        self._objects: Mapping[str, ObjectModel] = MappingProxyType({})
        self._entries: Mapping[str, ObjectEntry] = MappingProxyType({})
        self._segmentation = self._pose = self._tracker = None
        if role in ("full", "segmentation"):
            self._segmentation = segmentation or build_segmentation(config, cache_dir)
        if role in ("full", "pose"):
            self._pose = pose_estimation or build_pose_estimation(config, cache_dir)
        if role == "tracking":
            self._tracker = tracker or build_tracking(cache_dir)

    @property
    def objects(self) -> Mapping[str, ObjectModel]:
        """The loaded objects by name (a snapshot, in the order they were added)."""
        return self._objects

    @property
    def entries(self) -> Mapping[str, ObjectEntry]:
        """How the objects that came from entries were stated, by name (a snapshot)."""
        return self._entries

    def add_object(self, model: ObjectModel) -> None:
        """Prepare an object and look for it from now on; one of the same name is replaced."""
        with self._working():
            self._prepare(model)
            self._look_for({**self._objects, model.name: model}, self._entries)

    def add_entry(self, entry: ObjectEntry) -> ObjectModel:
        """Onboard an object and look for it from now on; one of the same name is replaced.

        Raises:
            InvalidMesh: its mesh is unusable; nothing changes then.
        """
        model = load_entry(entry, self.cache_dir)
        with self._working():
            self._prepare(model)
            self._look_for(
                {**self._objects, entry.name: model}, {**self._entries, entry.name: entry}
            )
        return model

    def replace_objects(self, entries: Sequence[ObjectEntry]) -> None:
        """Look for the objects of these entries from now on, and for no others.

        Raises:
            InvalidMesh: a mesh is unusable; nothing changes then.
        """
        models = [load_entry(entry, self.cache_dir) for entry in entries]
        with self._working():
            for model in models:
                self._prepare(model)
            self._look_for({m.name: m for m in models}, {e.name: e for e in entries})

    def remove_object(self, name: str) -> None:
        """Stop looking for an object.

        Raises:
            InvalidObjects: no object has this name.
        """
        with self._lock:
            if name not in self._objects:
                raise InvalidObjects(f"no object is named {name!r}; there are {[*self._objects]}")
            self._look_for({k: v for k, v in self._objects.items() if k != name}, self._entries)

    def warm_up(self) -> None:
        """Run one small made-up frame, so that kernels are compiled before the first real one."""
        with self._working():
            model, frame, detections = warm_up_input(next(iter(self._objects.values()), None))
            self._prepare(model)
            scene = Scene(frame)
            if self._segmentation is not None:
                self._segmentation.run(scene, [model])
            if self._pose is not None:
                self._pose.run(scene, detections, [model])
            if self._tracker is not None:
                self._tracker.track(scene, warm_up_poses(frame, detections), [model])
        self.state = State.READY

    def segment(
        self,
        frame: Frame | Scene,
        names: Sequence[str] | None = None,
        region: Region | None = None,
        ctx: RunContext | None = None,
    ) -> Detections:
        """Find the visible instances of the named objects (default: all loaded ones).

        Args:
            frame: the frame, or its scene when several calls share it.
            region: look only here (default: everywhere).

        Raises:
            InvalidObjects: a name is not loaded.
            InvalidInput: the region reaches beyond the image.
            InvalidConfig: this engine has the "pose" role.
        """
        if self._segmentation is None:
            raise InvalidConfig(f"an engine with role {self.role!r} cannot segment")
        with self._working():
            return self._segmentation.run(Scene.of(frame), self._select(names), region, ctx)

    def estimate(
        self, frame: Frame | Scene, detections: Detections, ctx: RunContext | None = None
    ) -> PoseEstimates:
        """Estimate the pose of each detection in the frame it was found in.

        Raises:
            InvalidObjects: a detection names an object that is not loaded here.
            InvalidConfig: this engine has the "segmentation" role.
        """
        if self._pose is None:
            raise InvalidConfig(f"an engine with role {self.role!r} cannot estimate poses")
        with self._working():
            objects = self._select(list(dict.fromkeys(d.class_id for d in detections.items)))
            return self._pose.run(Scene.of(frame), detections, objects, ctx)

    def run(
        self, frame: Frame, names: Sequence[str] | None = None, ctx: RunContext | None = None
    ) -> PoseEstimates:
        """Both halves: all instances of the named objects, best first, with timings.

        ``timings_s`` has one entry per stage and "total".
        """
        ctx = ctx or RunContext()
        with self._lock, ctx.timings.measure("total"):
            scene = Scene(frame)
            poses = self.estimate(scene, self.segment(scene, names, ctx=ctx), ctx)
        return poses.with_timings(ctx.timings.seconds)

    def track(
        self, frame: Frame, poses: PoseEstimates, ctx: RunContext | None = None
    ) -> PoseEstimates:
        """Bring predicted poses of known instances onto the frame; see ``Tracker.track``.

        Raises:
            InvalidObjects: a pose names an object that is not loaded here.
            InvalidConfig: this engine has not the "tracking" role.
        """
        if self._tracker is None:
            raise InvalidConfig(f"an engine with role {self.role!r} cannot track")
        with self._working():
            objects = self._select(list(dict.fromkeys(pose.class_id for pose in poses.items)))
            with (ctx or RunContext()).stage("track"):
                return self._tracker.track(Scene(frame), poses, objects)

    def _look_for(
        self, objects: Mapping[str, ObjectModel], entries: Mapping[str, ObjectEntry]
    ) -> None:
        """Take these objects, and of the entries those that belong to one."""
        self._objects = MappingProxyType(dict(objects))
        self._entries = MappingProxyType({k: v for k, v in entries.items() if k in objects})

    def _prepare(self, model: ObjectModel) -> None:
        for half in (self._segmentation, self._pose, self._tracker):
            if half is not None:
                half.prepare(model)

    def _select(self, names: Sequence[str] | None) -> list[ObjectModel]:
        if names is None:
            return list(self._objects.values())
        unknown = [name for name in names if name not in self._objects]
        if unknown:
            raise InvalidObjects(
                f"objects {unknown} are not loaded; loaded are {list(self._objects)}. "
                "Load the same objects file in every process"
            )
        return [self._objects[name] for name in names]

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Hold the lock; remember a failure of our own making (bad input is the caller's)."""
        with self._lock:
            try:
                yield
            except InvalidInput:
                raise
            except Exception as error:
                self.state, self.failure = State.FAILED, f"{type(error).__name__}: {error}"
                raise
            if self.state is State.FAILED:
                self.state, self.failure = State.READY, ""
