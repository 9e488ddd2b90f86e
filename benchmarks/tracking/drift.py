"""How far tracked poses go from the truth, and what is lost on the way."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.tracking.sequences import RATE_HZ, Sequence
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import TrackingConfig
from sam6d_ros.evaluation.metrics import add_s, symmetry_transforms
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.tracking.tracks import TrackedObjects
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates

STARTS = ("truth", "estimate", "corrected")
LATENCY_S = 1.5  # of a full estimate
CORRECTION_PERIOD_S = 2.0
MIN_VISIBILITY = 0.1  # BOP challenge 2019: less is no target
POINTS = 1500  # of a mesh, for ADD-S
RIGHT = 0.1  # ADD-S in diameters


@dataclass(frozen=True)
class Row:
    """One object in one run: errors of its centre (mm) and of its turn (degrees).

    The turn is taken up to the object's symmetries. ``right`` is the share of the frames in which
    it is visible and ADD-S is below 10 % of the diameter; ``unseen`` those in which it is visible
    and no frame-to-frame match was found (held or lost).
    """

    sequence: str
    start: str
    object: str
    end_mm: float
    max_mm: float
    median_mm: float
    end_deg: float
    max_deg: float
    median_deg: float
    right: float
    unseen: int
    names: int
    frames: int


def run(
    sequence: Sequence, start: str, tracking: Engine, full: Callable[[Frame], PoseEstimates]
) -> tuple[list[Row], dict[str, int]]:
    """Follow all objects through a sequence.

    Args:
        start: "truth": the true poses of the first frame, at once. "estimate": the full estimate
            of the first frame, LATENCY_S late. "corrected": likewise, and another one every
            CORRECTION_PERIOD_S, as in the running graph.
        full: the full estimate of a frame.
        sequence: frames with true poses.
        tracking: engine that tracks.

    Returns:
        Rows by object, and counts of the tracks.
    """
    tracked = TrackedObjects(tracking.track, lambda: sequence.models, TrackingConfig())
    pending: list[tuple[float, PoseEstimates]] = []
    results = []
    for index, frame in enumerate(sequence.frames):
        now = frame.stamp_ns * 1e-9
        out = tracked.step(frame)
        if start == "truth" and index == 0:
            tracked.correct(true_estimate(sequence))
        if _starts_estimate(start, index, now, sequence):
            pending.append((now + LATENCY_S, full(frame)))
        while pending and pending[0][0] <= now:
            tracked.correct(pending.pop(0)[1])
        results.append(out)
    counts = asdict(tracked.counts)
    return [row(sequence, start, model, results) for model in sequence.models.values()], counts


def _starts_estimate(start: str, index: int, now: float, sequence: Sequence) -> bool:
    if start == "truth":
        return False
    if index == 0 or start == "estimate":
        return index == 0
    before = sequence.frames[index - 1].stamp_ns * 1e-9
    return int(now / CORRECTION_PERIOD_S) > int(before / CORRECTION_PERIOD_S)


def true_estimate(sequence: Sequence, names: list[str] | None = None) -> PoseEstimates:
    """The true poses of the first frame, of all objects or of some."""
    first, frame = sequence.truth[0], sequence.frames[0]
    items = tuple(
        PoseEstimate(name, 1.0, first[name].cam_from_obj, instance_id=f"{name}_1")
        for name in names or first
    )
    return PoseEstimates(items, frame.stamp_ns, frame.frame_id)


def row(sequence: Sequence, start: str, model: ObjectModel, results: list[PoseEstimates]) -> Row:
    """The errors of one object from the first frame in which it was followed."""
    step = max(1, len(model.vertices) // POINTS)
    points = model.vertices[::step].astype(np.float64)
    errors, right, unseen, names = [], [], 0, set()
    for out, truth in zip(results, sequence.truth, strict=True):
        mine = [pose for pose in out.items if pose.class_id == model.name]
        names |= {pose.instance_id for pose in mine}
        true = truth.get(model.name)
        if true is None or true.visibility < MIN_VISIBILITY or not names:
            continue
        unseen += not any(pose.confirmed for pose in mine)
        if not mine:
            right.append(False)
            continue
        pose = mine[0].cam_from_obj
        motions = symmetry_transforms(model.symmetries, pose, true.cam_from_obj)
        errors.append(_errors(model, pose, true.cam_from_obj @ motions))
        right.append(add_s(pose, true.cam_from_obj, points) < RIGHT * model.diameter)
    mm, deg = np.array(errors).T if errors else np.full((2, 1), np.nan)
    return Row(
        sequence.name, start, model.name, mm[-1], mm.max(), float(np.median(mm)), deg[-1],
        deg.max(), float(np.median(deg)), statistics.fmean(right) if right else 0.0, unseen,
        len(names), len(right),
    )  # fmt: skip


def _errors(model: ObjectModel, pose: np.ndarray, alike: np.ndarray) -> tuple[float, float]:
    """(mm, degrees) to the nearest of the poses (S, 4, 4) that look the same."""
    turns = se3.rotation_angle(alike[:, :3, :3], pose[:3, :3])
    nearest = alike[turns.argmin()]
    shift = (pose - nearest)[:3] @ model.obj_from_box[:, 3]
    return MM_PER_M * float(np.linalg.norm(shift)), float(np.degrees(turns.min()))


def table(rows: list[Row]) -> list[str]:
    """Markdown."""
    lines = [
        f"| sequence, {RATE_HZ} Hz | start | object | mm: median, max, end | "
        "degrees: median, max, end | ADD-S < 10 % | unseen | names |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        lines.append(
            f"| {r.sequence} | {r.start} | {r.object} | "
            f"{r.median_mm:.1f}, {r.max_mm:.1f}, {r.end_mm:.1f} | "
            f"{r.median_deg:.1f}, {r.max_deg:.1f}, {r.end_deg:.1f} | "
            f"{100 * r.right:.0f} % | {r.unseen}/{r.frames} | {r.names} |"
        )
    return lines


def summary(rows: list[Row]) -> list[str]:
    """Markdown: per sequence and start, over the objects."""
    lines = [
        "| sequence | start | objects followed | ADD-S < 10 %, share of frames | "
        "median mm | worst end mm | median degrees | worst end degrees |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for key in dict.fromkeys((r.sequence, r.start) for r in rows):
        mine = [r for r in rows if (r.sequence, r.start) == key]
        live = [r for r in mine if r.names]
        cells: list[Any] = [f"{len(live)}/{len(mine)}"]
        if live:
            share = sum(r.right * r.frames for r in live) / max(1, sum(r.frames for r in live))
            cells += [
                f"{100 * share:.1f} %",
                f"{np.median([r.median_mm for r in live]):.2f}",
                f"{max(r.end_mm for r in live):.1f}",
                f"{np.median([r.median_deg for r in live]):.2f}",
                f"{max(r.end_deg for r in live):.1f}",
            ]
        lines.append(f"| {key[0]} | {key[1]} | {' | '.join(cells)} |")
    return lines
