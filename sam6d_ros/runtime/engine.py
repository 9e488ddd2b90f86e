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
from sam6d_ros.cad.object_entry import with_settings
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.cad.objects import ObjectEntry, load_entry
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig, InvalidInput, InvalidObjects
from sam6d_ros.geometry.region import Region
from sam6d_ros.pipeline import PoseEstimation, RunContext, Segmentation
from sam6d_ros.runtime.warmup import warm_up_input, warm_up_poses
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.stages.backends import NO_BACKEND
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

    ``runtime.build.build_engine`` builds one.

    Args:
        config: settings of the pipeline.
        cache_dir: where onboarded objects are kept, or None.
        role: "full", or one part ("segmentation", "pose", "tracking") so that a process loads
            only that; "full" does not track, "objects" has no stages at all.
        backend: name of the backend of the stages; "none" without stages.
        device: device of its networks; "cpu" without networks.
        segmentation, pose_estimation, tracker: the stages; those beyond the role are not used,
            and a call that needs one that is not there is refused.

    Raises:
        InvalidConfig: unknown role.
    """

    def __init__(
        self,
        config: PipelineConfig,
        cache_dir: Path | None = None,
        role: str = "full",
        *,
        backend: str = NO_BACKEND,
        device: str = "cpu",
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
        self._settings: Mapping[str, ObjectSettings] = MappingProxyType({})
        self.backend, self.device = backend, device
        self._segmentation = segmentation if role in ("full", "segmentation") else None
        self._pose = pose_estimation if role in ("full", "pose") else None
        self._tracker = tracker if role == "tracking" else None

    @property
    def objects(self) -> Mapping[str, ObjectModel]:
        """The loaded objects by name (a snapshot, in the order they were added)."""
        return self._objects

    @property
    def entries(self) -> Mapping[str, ObjectEntry]:
        """How the objects that came from entries were stated, by name (a snapshot)."""
        return self._entries

    @property
    def settings(self) -> Mapping[str, ObjectSettings]:
        """The settings of each loaded object, by name (a snapshot)."""
        return self._settings

    @property
    def acceptance(self) -> Acceptance:
        """The limits of a call that states none."""
        default = 0.0 if self._pose is None else self._pose.default_min_score
        stated = self.config.min_score
        min_score = default if stated is None else stated
        return Acceptance(min_score, self._settings, self.config.max_instances)

    def take_objects(
        self,
        models: Mapping[str, ObjectModel],
        entries: Mapping[str, ObjectEntry],
        settings: Mapping[str, ObjectSettings],
    ) -> None:
        """Look for these objects and no others; if preparing a new one fails, nothing changes.

        Args:
            models, entries, settings: by name.
        """
        with self._working():
            for model in models.values():
                self._prepare(model)
            self._look_for(models, entries, settings)

    def add_object(self, model: ObjectModel, settings: ObjectSettings | None = None) -> None:
        """Prepare an object and look for it from now on; one of the same name is replaced."""
        with self._working():
            self._prepare(model)
            self._look_for(
                {**self._objects, model.name: model},
                {name: entry for name, entry in self._entries.items() if name != model.name},
                {**self._settings, model.name: settings or ObjectSettings()},
            )

    def add_entry(self, entry: ObjectEntry) -> ObjectModel:
        """Onboard an object and look for it from now on; one of the same name is replaced.

        An object that differs in its settings only is not prepared again.

        Raises:
            InvalidMesh: its mesh is unusable; nothing changes then.
        """
        model = self._onboarded(entry)
        with self._working():
            self._prepare(model)
            self._look_for(
                {**self._objects, entry.name: model},
                {**self._entries, entry.name: entry},
                {**self._settings, entry.name: entry.settings},
            )
        return model

    def replace_objects(self, entries: Sequence[ObjectEntry]) -> None:
        """Look for the objects of these entries from now on, and for no others.

        Raises:
            InvalidMesh: a mesh is unusable; nothing changes then.
        """
        models = [self._onboarded(entry) for entry in entries]
        with self._working():
            for model in models:
                self._prepare(model)
            self._look_for(
                {m.name: m for m in models},
                {e.name: e for e in entries},
                {e.name: e.settings for e in entries},
            )

    def change_settings(self, name: str, settings: ObjectSettings) -> None:
        """Replace the settings of an object; the next call uses them. Nothing is prepared again.

        Raises:
            InvalidObjects: no object has this name.
        """
        with self._lock:
            self._check_loaded(name)
            entries = dict(self._entries)
            if name in entries:
                entries[name] = with_settings(entries[name], settings)
            self._look_for(self._objects, entries, {**self._settings, name: settings})

    def remove_object(self, name: str) -> None:
        """Stop looking for an object.

        Raises:
            InvalidObjects: no object has this name.
        """
        with self._lock:
            self._check_loaded(name)
            left = {k: v for k, v in self._objects.items() if k != name}
            self._look_for(left, self._entries, self._settings)

    def warm_up(self) -> None:
        """Run one small made-up frame, so that kernels are compiled before the first real one."""
        with self._working():
            model, frame, detections = warm_up_input(next(iter(self._objects.values()), None))
            self._prepare(model)
            scene = Scene(frame)
            if self._segmentation is not None:
                self._segmentation.run(scene, [model], self.acceptance)
            if self._pose is not None:
                self._pose.run(scene, detections, [model], self.acceptance)
            if self._tracker is not None:
                self._tracker.track(scene, warm_up_poses(frame, detections), [model])
        self.state = State.READY

    def segment(
        self,
        frame: Frame | Scene,
        names: Sequence[str] | None = None,
        region: Region | None = None,
        acceptance: Acceptance | None = None,
        ctx: RunContext | None = None,
    ) -> Detections:
        """Find the visible instances of the named objects (default: all loaded ones).

        Args:
            frame: the frame, or its scene when several calls share it.
            region: look only here (default: everywhere).
            acceptance: limits of this call (default: ``Engine.acceptance``).

        Raises:
            InvalidObjects: a name is not loaded.
            InvalidInput: the region reaches beyond the image.
            InvalidConfig: this engine has the "pose" role.
        """
        if self._segmentation is None:
            raise InvalidConfig(f"an engine with role {self.role!r} cannot segment")
        with self._working():
            limits = acceptance or self.acceptance
            objects = self._select(names)
            return self._segmentation.run(Scene.of(frame), objects, limits, region, ctx)

    def estimate(
        self,
        frame: Frame | Scene,
        detections: Detections,
        acceptance: Acceptance | None = None,
        ctx: RunContext | None = None,
    ) -> PoseEstimates:
        """Estimate the pose of each detection in the frame it was found in.

        Args:
            acceptance: limits of this call (default: ``Engine.acceptance``).

        Raises:
            InvalidObjects: a detection names an object that is not loaded here.
            InvalidConfig: this engine has the "segmentation" role.
        """
        if self._pose is None:
            raise InvalidConfig(f"an engine with role {self.role!r} cannot estimate poses")
        with self._working():
            objects = self._select(list(dict.fromkeys(d.class_id for d in detections.items)))
            limits = acceptance or self.acceptance
            return self._pose.run(Scene.of(frame), detections, objects, limits, ctx)

    def run(
        self,
        frame: Frame,
        names: Sequence[str] | None = None,
        acceptance: Acceptance | None = None,
        ctx: RunContext | None = None,
    ) -> PoseEstimates:
        """Both halves: all instances of the named objects, best first, with timings.

        ``timings_s`` has one entry per stage and "total"; ``acceptance`` as in ``estimate``.
        """
        ctx = ctx or RunContext()
        with self._lock, ctx.timings.measure("total"):
            scene = Scene(frame)
            found = self.segment(scene, names, acceptance=acceptance, ctx=ctx)
            poses = self.estimate(scene, found, acceptance, ctx)
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
        self,
        objects: Mapping[str, ObjectModel],
        entries: Mapping[str, ObjectEntry],
        settings: Mapping[str, ObjectSettings],
    ) -> None:
        """Take these objects, and of entries and settings those that belong to one."""
        self._objects = MappingProxyType(dict(objects))
        self._entries = MappingProxyType({k: v for k, v in entries.items() if k in objects})
        self._settings = MappingProxyType({k: v for k, v in settings.items() if k in objects})

    def _onboarded(self, entry: ObjectEntry) -> ObjectModel:
        """Return the object of an entry: the loaded one itself if its content is the same."""
        model = load_entry(entry, self.cache_dir)
        loaded = self._objects.get(entry.name)
        same = loaded is not None and loaded.content_hash == model.content_hash
        return loaded if loaded is not None and same else model

    def _prepare(self, model: ObjectModel) -> None:
        """Have every stage prepare an object, unless it is loaded already."""
        if self._objects.get(model.name) is model:
            return
        for half in (self._segmentation, self._pose, self._tracker):
            if half is not None:
                half.prepare(model)

    def _check_loaded(self, name: str) -> None:
        if name not in self._objects:
            raise InvalidObjects(f"no object is named {name!r}; there are {[*self._objects]}")

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
