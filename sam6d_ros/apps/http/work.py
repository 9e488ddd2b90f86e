"""Work of requests in the compute thread: segmentation, poses, or both."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sam6d_ros.apps.http.schemas.common import FrameBody
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidMesh
from sam6d_ros.pipeline import Record, RunContext
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.frame_checks import frame_warnings
from sam6d_ros.runtime.size_check import size_warning
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.types import Detections, PoseEstimates, Scene

UNREFINED = "not refined: other detections of the object fit far better"


@dataclass(frozen=True)
class Segmented:
    """Result of the first half: detections, warnings about the input, seconds by stage."""

    found: Detections
    notes: tuple[str, ...]
    seconds: float
    timings_s: Mapping[str, float]


@dataclass(frozen=True)
class Estimated:
    """Result of the second half.

    Attributes:
        poses: the accepted poses.
        models: the objects at that time, by name.
        failures: reason by instance id, for every detection without a pose.
        notes: warnings about the input.
        seconds, timings_s: in all, and of each stage.
    """

    poses: PoseEstimates
    models: Mapping[str, ObjectModel]
    failures: Mapping[str, str]
    notes: tuple[str, ...]
    seconds: float
    timings_s: Mapping[str, float]


def segment(
    engine: Engine, ctx: RunContext, scene: Scene, names: Sequence[str], body: FrameBody
) -> Segmented:
    """Find the instances of the objects.

    Returns:
        Detections with notes and times.

    Raises:
        InvalidMesh: no object can be in this scene, by its size.
    """
    start, notes = time.perf_counter(), check_sizes(engine, scene, names)
    found = engine.segment(scene, names, acceptance=acceptance(engine, body), ctx=ctx)
    return Segmented(found, notes, time.perf_counter() - start, dict(ctx.timings.seconds))


def estimate(
    engine: Engine,
    ctx: RunContext,
    scene: Scene,
    detections: Detections,
    body: FrameBody,
    most: int | None = None,
) -> Estimated:
    """Estimate the poses of detections.

    Args:
        most: largest number of instances, if the request states none.
        engine: the engine.
        ctx: timings and checkpoint.
        scene: the frame.
        detections: instances with masks.
        body: the request.

    Returns:
        Poses with the reasons of rejected detections.

    Raises:
        InvalidMesh: no object can be in this scene, by its size.
    """
    start = time.perf_counter()
    names = list(dict.fromkeys(item.class_id for item in detections.items))
    notes = check_sizes(engine, scene, names)
    before, record = dict(ctx.timings.seconds), Record()
    limits = acceptance(engine, body, most)
    poses = engine.estimate(scene, detections, limits, replace(ctx, record=record))
    seconds = {k: v for k, v in ctx.timings.seconds.items() if k not in before}
    return Estimated(
        poses,
        engine.objects,
        failures(detections, poses, record),
        notes,
        time.perf_counter() - start,
        seconds,
    )


def acceptance(engine: Engine, body: FrameBody, most: int | None = None) -> Acceptance:
    """Return the limits of a request: what it states goes before settings of objects."""
    default = engine.acceptance
    score, count = body.min_score, most if body.max_instances is None else body.max_instances
    by_object = {
        name: replace(
            settings,
            min_score=settings.min_score if score is None else score,
            max_instances=settings.max_instances if count is None else count,
        )
        for name, settings in default.by_object.items()
    }
    return replace(
        default,
        min_score=default.min_score if score is None else score,
        max_instances=default.max_instances if count is None else count,
        by_object=by_object,
    )


def check_sizes(engine: Engine, scene: Scene, names: Sequence[str]) -> tuple[str, ...]:
    """Return the warnings about the frame and the sizes of the objects.

    Raises:
        InvalidMesh: the size of no object fits the scene.
    """
    models = [engine.objects[name] for name in names if name in engine.objects]
    warnings = tuple(warning for model in models if (warning := size_warning(model, scene)))
    if warnings and len(warnings) == len(models):
        raise InvalidMesh(warnings[0])
    return (*frame_warnings(scene), *warnings)


def failures(detections: Detections, poses: PoseEstimates, record: Record) -> dict[str, str]:
    """Return why detections have no pose, by instance id."""
    posed = {pose.instance_id for pose in poses.items}
    rejected = {item.instance_id: item.reason for item in poses.rejected}
    tried = {item.instance_id for item in record.candidates.items} if record.candidates else set()
    reason = record.candidates.reason if record.candidates else ""
    none = reason or poses.reason or "no hypothesis fits the depth inside the mask"
    return {
        item.instance_id: rejected.get(item.instance_id, UNREFINED)
        if item.instance_id in tried
        else none
        for item in detections.items
        if item.instance_id not in posed
    }
