"""Construction of engines: the only place that builds stages and loads objects into an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sam6d_ros.cad.object_entry import ObjectEntry, PackageResolver
from sam6d_ros.cad.objects import load_entry, read_objects_file
from sam6d_ros.config import PipelineConfig
from sam6d_ros.pipeline import PoseEstimation, Segmentation
from sam6d_ros.runtime.engine import ESTIMATES, SEGMENTS, TRACKS, Engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.stages.backends import NO_BACKEND, Backend, choose_backend
from sam6d_ros.stages.geometric.track import ModelTracker
from sam6d_ros.stages.library import BuildContext

TRACKING_BACKEND = "geometric"  # of the tracker, whatever finds the poses

# Called with the step that begins.
Progress = Callable[[str], None]


@dataclass(frozen=True)
class EngineSpec:
    """Everything that an engine is built from; equal specs give equal engines.

    Attributes:
        config: settings of the pipeline.
        cache_dir: folder where onboarded objects and per-object data are kept, or None.
        role: see ``Engine``.
        objects: onboarded objects.
        objects_file: file of further objects, read and onboarded while the engine is built.
        resolve_package: gives the share folder of a ROS package, for ``package://`` in the file.
    """

    config: PipelineConfig = field(default_factory=PipelineConfig)
    cache_dir: Path | None = None
    role: str = "full"
    objects: ObjectSet = field(default_factory=ObjectSet)
    objects_file: Path | None = None
    resolve_package: PackageResolver | None = None


def build_engine(spec: EngineSpec, progress: Progress | None = None) -> Engine:
    """Build the stages, load the objects and warm up.

    Args:
        progress: called with the name of each step that begins.

    Raises:
        InvalidConfig: the role, the backend or its options are unknown.
        InvalidObjects, InvalidMesh: an object cannot be loaded.
        BackendUnavailable, CheckpointError: the backend cannot run.
    """
    report = progress or _ignore
    report("loading the backend")
    engine = _staged_engine(spec)
    objects = _with_objects_file(spec, report)
    models = {}
    for number, (name, model) in enumerate(objects.models.items(), start=1):
        report(f"preparing {name} ({number} of {len(objects.models)})")
        models[name] = model
        engine.take_objects(models, objects.entries, objects.settings)
    report("warming up")
    engine.warm_up()
    return engine


def _staged_engine(spec: EngineSpec) -> Engine:
    """Build an engine without objects."""
    role, config, context = spec.role, spec.config, BuildContext(spec.config, spec.cache_dir)
    if role == "tracking":
        name = TRACKING_BACKEND
        return Engine(config, spec.cache_dir, role, backend=name, tracker=ModelTracker())
    if role not in (*SEGMENTS, *ESTIMATES):
        return Engine(config, spec.cache_dir, role, backend=NO_BACKEND)
    backend = choose_backend(config)
    return Engine(
        config,
        spec.cache_dir,
        role,
        backend=backend.name,
        device=backend.device(config),
        segmentation=_segmentation(backend, context) if role in SEGMENTS else None,
        pose_estimation=_pose_estimation(backend, context) if role in ESTIMATES else None,
        tracker=ModelTracker() if role in TRACKS else None,
    )


def _segmentation(backend: Backend, context: BuildContext) -> Segmentation:
    return Segmentation(*backend.segmentation(context))


def _pose_estimation(backend: Backend, context: BuildContext) -> PoseEstimation:
    stages = backend.pose(context)
    return PoseEstimation(
        stages.estimator, stages.refiner, stages.default_min_score, stages.exclusive_pixels
    )


def _with_objects_file(spec: EngineSpec, report: Progress) -> ObjectSet:
    """Return the objects of the spec and of its file; those of the file replace namesakes."""
    if spec.objects_file is None:
        return spec.objects
    entries = read_objects_file(spec.objects_file, spec.resolve_package)
    report(f"onboarding the objects of {spec.objects_file.name}")
    models = {entry.name: load_entry(entry, spec.cache_dir) for entry in entries}
    return ObjectSet(
        {**spec.objects.models, **models},
        {**spec.objects.entries, **_by_name(entries)},
        {**spec.objects.settings, **{entry.name: entry.settings for entry in entries}},
    )


def _by_name(entries: list[ObjectEntry]) -> dict[str, ObjectEntry]:
    return {entry.name: entry for entry in entries}


def _ignore(_: str) -> None:
    """Report no progress."""
