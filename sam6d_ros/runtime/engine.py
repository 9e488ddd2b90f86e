"""Engine: objects and stages of one configuration.

Its calls are pure: no thread, no queue, no lock. A process that serves has a ``Host`` for it, a
command calls it directly. Errors go up to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.cad.objects import ObjectEntry
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig, UnknownName
from sam6d_ros.geometry.region import Region
from sam6d_ros.pipeline import PoseEstimation, RunContext, Segmentation
from sam6d_ros.runtime import warmup
from sam6d_ros.runtime.size_check import with_size_question
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.stages.areas import SearchAreas, areas_of
from sam6d_ros.stages.backends import NO_BACKEND
from sam6d_ros.stages.library import ObjectLibrary
from sam6d_ros.stages.protocols import Tracker
from sam6d_ros.types import Boxes, Detections, Frame, PoseEstimates, Scene

ROLES = ("full", "segmentation", "pose", "tracking", "service", "objects")
SEGMENTS, ESTIMATES, TRACKS = (
    ("full", "segmentation", "service"),
    ("full", "pose", "service"),
    ("tracking", "service"),
)


class Engine:
    """Objects and stages; to be called by one thread at a time.

    ``runtime.build.build_engine`` builds one.

    Args:
        config: settings of the pipeline.
        cache_dir: where onboarded objects are kept, or None.
        role: "full", or one part ("segmentation", "pose", "tracking") so that a process loads
            only that; "full" does not track, "service" does all, "objects" has no stages at all.
        backend: name of the backend of the stages; "none" without stages.
        device: device of its networks; "cpu" without networks.
        segmentation: first half of the stages; not used if the role does not segment.
        pose_estimation: second half; likewise.
        tracker: stage that tracks; likewise. A call that needs an absent stage is refused.
        library: per-object data of these stages.

    Raises:
        InvalidConfig: unknown role.
    """

    def __init__(  # noqa: PLR0913  (keywords with defaults)
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
        library: ObjectLibrary | None = None,
    ) -> None:
        if role not in ROLES:
            raise InvalidConfig(f"role {role!r} is unknown; expected one of {ROLES}")
        self.config, self.cache_dir, self.role = config, cache_dir, role
        self._objects: Mapping[str, ObjectModel] = MappingProxyType({})
        self._entries: Mapping[str, ObjectEntry] = MappingProxyType({})
        self._settings: Mapping[str, ObjectSettings] = MappingProxyType({})
        self.backend, self.device = backend, device
        self._segmentation = segmentation if role in SEGMENTS else None
        self._pose = pose_estimation if role in ESTIMATES else None
        self._tracker = tracker if role in TRACKS else None
        self._library = library or ObjectLibrary()

    @property
    def objects(self) -> Mapping[str, ObjectModel]:
        """The loaded objects by name (a snapshot, in the order they were added)."""
        return self._objects

    @property
    def entries(self) -> Mapping[str, ObjectEntry]:
        """The stated entries of objects, by name (a snapshot)."""
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
            models: onboarded objects by name.
            entries: stated entries by name.
            settings: settings by name.
        """
        for model in models.values():
            self._prepare(model)
        self._look_for(models, entries, settings)

    def warm_up(self, report: warmup.Report = lambda _: None) -> None:
        """Run one small synthetic frame, so that kernels are compiled before the first real one.

        Args:
            report: called with each step of stages that compile for every size of a batch.
        """
        model, frame, detections = warmup.warm_up_input(next(iter(self._objects.values()), None))
        self._prepare(model)
        scene = Scene(frame)
        if self._segmentation is not None:
            self._segmentation.run(scene, [model], self.acceptance)
            warmup.warm_up_proposer(self._segmentation.proposer, scene, model, report)
            warmup.warm_up_scorer(self._segmentation.scorer, scene, detections, model, report)
        if self._pose is not None:
            warmup.warm_up_estimator(self._pose.estimator, scene, detections, model, report)
            self._pose.run(scene, detections, [model], self.acceptance)
        if self._tracker is not None:
            self._tracker.track(scene, warmup.warm_up_poses(frame, detections), [model])

    def segment(
        self,
        frame: Frame | Scene,
        names: Sequence[str] | None = None,
        region: Region | None = None,
        acceptance: Acceptance | None = None,
        ctx: RunContext | None = None,
        boxes: Boxes | None = None,
    ) -> Detections:
        """Find the visible instances of the named objects (default: all loaded ones).

        Args:
            frame: the frame, or its scene when several calls share it.
            names: objects to find (default: all).
            region: look only here (default: everywhere).
            acceptance: limits of this call (default: ``Engine.acceptance``).
            ctx: timings, record and checkpoint of this call.
            boxes: of a 2D detector for this frame; each object is searched in the boxes of its
                classes, see ``stages.areas``. Unusable boxes are reported to ``ctx.on_warning``.

        Returns:
            The detections; empty with a reason if there is none.

        Raises:
            UnknownName: a name is not loaded.
            InvalidInput: the region reaches beyond the image.
            InvalidConfig: this engine has the "pose" role.
        """
        if self._segmentation is None:
            raise InvalidConfig(f"an engine with role {self.role!r} cannot segment")
        limits, ctx = acceptance or self.acceptance, ctx or RunContext()
        objects, scene = self._select(names), Scene.of(frame)
        areas = None if boxes is None else self._areas(boxes, scene.frame, ctx)
        return self._segmentation.run(scene, objects, limits, region, ctx, areas)

    def estimate(
        self,
        frame: Frame | Scene,
        detections: Detections,
        acceptance: Acceptance | None = None,
        ctx: RunContext | None = None,
    ) -> PoseEstimates:
        """Estimate the pose of each detection in the frame it was found in.

        Args:
            frame: the frame of the detections, or its scene.
            detections: of ``segment``, or of another detector.
            acceptance: limits of this call (default: ``Engine.acceptance``).
            ctx: timings, record and checkpoint of this call.

        Returns:
            The accepted estimates, best first; empty with a reason if there is none.

        Raises:
            UnknownName: a detection names an object that is not loaded here.
            InvalidConfig: this engine has the "segmentation" role.
        """
        if self._pose is None:
            raise InvalidConfig(f"an engine with role {self.role!r} cannot estimate poses")
        objects = self._select(list(dict.fromkeys(d.class_id for d in detections.items)))
        limits = acceptance or self.acceptance
        return self._pose.run(Scene.of(frame), detections, objects, limits, ctx)

    def run(
        self,
        frame: Frame,
        names: Sequence[str] | None = None,
        acceptance: Acceptance | None = None,
        ctx: RunContext | None = None,
        boxes: Boxes | None = None,
    ) -> PoseEstimates:
        """Run both halves: find all instances of the named objects.

        Args:
            frame: the image.
            names: objects to find; None for all.
            acceptance: thresholds and limits; None for those of the engine.
            ctx: timings, record and checkpoint; None for neither.
            boxes: of a detector, in which to search, as in ``segment``; None for everywhere.

        Returns:
            The accepted estimates, best first, with the seconds of each stage and "total"; empty
            with a reason if there is none.
        """
        ctx = ctx or RunContext()
        with ctx.timings.measure("total"):
            scene = Scene(frame)
            found = self.segment(scene, names, None, acceptance, ctx, boxes)
            poses = self.estimate(scene, found, acceptance, ctx)
        poses = with_size_question(poses, self._select(names), scene)
        return poses.with_timings(ctx.timings.seconds)

    def track(
        self, frame: Frame, poses: PoseEstimates, ctx: RunContext | None = None
    ) -> PoseEstimates:
        """Bring predicted poses of known instances onto the frame; see ``Tracker.track``.

        Args:
            frame: the image.
            poses: predicted poses, with instance ids.
            ctx: timings, record and checkpoint; None for neither.

        Returns:
            The instances that are still seen.

        Raises:
            UnknownName: a pose names an object that is not loaded here.
            InvalidConfig: this engine has neither the "tracking" nor the "service" role.
        """
        if self._tracker is None:
            raise InvalidConfig(f"an engine with role {self.role!r} cannot track")
        objects = self._select(list(dict.fromkeys(pose.class_id for pose in poses.items)))
        ctx = ctx or RunContext()
        with ctx.stage("track"):
            scene = Scene(frame).with_checkpoint(ctx.checkpoint)
            tracked = self._tracker.track(scene, poses, objects)
            tracked.check_size(frame)
        return tracked

    def _areas(self, boxes: Boxes, frame: Frame, ctx: RunContext) -> SearchAreas:
        """Return where the boxes allow which object; report the unusable ones."""
        settings = {name: self._settings.get(name, ObjectSettings()) for name in self._objects}
        areas = areas_of(boxes, frame, settings)
        if ctx.record:
            ctx.record.boxes = boxes
        for text in areas.warnings:
            ctx.on_warning(text)
        return areas

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

    def _prepare(self, model: ObjectModel) -> None:
        """Prepare an object in every stage, unless it is loaded already."""
        if self._objects.get(model.name) is model:
            return
        with self._library.preparing():
            for half in (self._segmentation, self._pose, self._tracker):
                if half is not None:
                    half.prepare(model)

    def _select(self, names: Sequence[str] | None) -> list[ObjectModel]:
        if names is None:
            return list(self._objects.values())
        unknown = [name for name in names if name not in self._objects]
        if unknown:
            raise UnknownName(
                f"objects {unknown} are not loaded; loaded are {list(self._objects)}. "
                "Load the same objects file in every process"
            )
        return [self._objects[name] for name in names]
