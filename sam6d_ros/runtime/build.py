"""Construction of engines: the only place that builds stages and loads objects into an engine."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sam6d_ros.cad.mesh_files import check_file
from sam6d_ros.cad.object_entry import ObjectEntry, PackageResolver
from sam6d_ros.cad.objects import load_entry, read_objects_file
from sam6d_ros.config import PipelineConfig
from sam6d_ros.pipeline import PoseEstimation, Segmentation
from sam6d_ros.runtime.engine import ESTIMATES, SEGMENTS, TRACKS, Engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.stages.backends import NO_BACKEND, Backend, choose_backend
from sam6d_ros.stages.geometric.track import ModelTracker
from sam6d_ros.stages.kernels.ahead import compile_ahead
from sam6d_ros.stages.library import BuildContext

_LOG = logging.getLogger(__name__)

SAME_EVERY_S = 5.0
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
        spec: settings, objects and cache.
        progress: called with the name of each step that begins (default: the log).

    Returns:
        The engine.

    Raises:
        InvalidConfig: the role, the backend or its options are unknown.
        InvalidObjects, InvalidMesh: an object cannot be loaded.
        BackendUnavailable, CheckpointError: the backend cannot run.
    """
    report = progress or ProgressLog()
    report("loading the backend")
    engine = _staged_engine(spec)
    entries = _entries_of(spec)  # before the loops: errors must not wait for minutes of compilation
    compile_ahead(_compiled_stages(engine), report)
    objects = _with_entries(spec, entries, report)
    models = {}
    for number, (name, model) in enumerate(objects.models.items(), start=1):
        report(f"preparing {name} ({number} of {len(objects.models)})")
        models[name] = model
        engine.take_objects(models, objects.entries, objects.settings)
    report("warming up")
    engine.warm_up(report)
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
        library=context.library,
    )


def _compiled_stages(engine: Engine) -> list[str]:
    """Return the stages of an engine that run compiled loops, by the names of their list."""
    is_geometric = engine.backend == TRACKING_BACKEND
    parts = {
        "segment": is_geometric and engine.role in SEGMENTS,
        "estimate": is_geometric and engine.role in ESTIMATES,
        "track": engine.role in TRACKS,
    }
    return [name for name, runs in parts.items() if runs]


def _segmentation(backend: Backend, context: BuildContext) -> Segmentation:
    return Segmentation(*backend.segmentation(context))


def _pose_estimation(backend: Backend, context: BuildContext) -> PoseEstimation:
    stages = backend.pose(context)
    return PoseEstimation(
        stages.estimator, stages.refiner, stages.default_min_score, stages.exclusive_pixels
    )


def _entries_of(spec: EngineSpec) -> list[ObjectEntry]:
    """Return the entries of the objects file, whose meshes exist; none without a file."""
    if spec.objects_file is None:
        return []
    entries = list(read_objects_file(spec.objects_file, spec.resolve_package))
    for entry in entries:
        check_file(entry.mesh)
    return entries


def _with_entries(spec: EngineSpec, entries: list[ObjectEntry], report: Progress) -> ObjectSet:
    """Return the objects of the spec and of its file; those of the file replace namesakes."""
    models = {}
    for number, entry in enumerate(entries, start=1):
        report(f"onboarding {entry.name} ({number} of {len(entries)})")
        models[entry.name] = load_entry(entry, spec.cache_dir)
    return ObjectSet(
        {**spec.objects.models, **models},
        {**spec.objects.entries, **_by_name(entries)},
        {**spec.objects.settings, **{entry.name: entry.settings for entry in entries}},
    )


def _by_name(entries: list[ObjectEntry]) -> dict[str, ObjectEntry]:
    return {entry.name: entry for entry in entries}


class ProgressLog:
    """Progress that logs steps; of steps that differ in a number only, one per ``SAME_EVERY_S``.

    Args:
        clock: seconds that never jump.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._last_kind, self._last_at = clock, "", -math.inf

    def __call__(self, step: str) -> None:
        """Log a step that begins."""
        kind, now = re.sub(r"\d+", "", step), self._clock()
        if kind != self._last_kind or now - self._last_at >= SAME_EVERY_S:
            self._last_kind, self._last_at = kind, now
            _LOG.info("%s", step)
