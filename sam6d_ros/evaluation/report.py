"""Scores as a table for people and as plain values for JSON."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from sam6d_ros.evaluation.detection import DetectionScore
from sam6d_ros.evaluation.results_csv import ImageResult
from sam6d_ros.evaluation.runner import ScoredTarget
from sam6d_ros.evaluation.scores import PoseErrors, recalls
from sam6d_ros.geometry.units import MM_PER_M

COLUMNS = ("ADD-S", "ADD", "AR", "VSD", "MSSD", "MSPD")
NAME_WIDTH = 10  # obj_000001 of BOP; with the numbers it fits into 80 columns
KEYS = ("add_s", "add", "ar", "vsd", "mssd", "mspd")


def summarize(targets: Sequence[ScoredTarget]) -> dict[str, Any]:
    """Recalls, number of targets and rejected estimates, median errors and time of targets."""
    best = [errors for target in targets for errors in target.scores.best]
    times = [target.time_s for target in targets if target.time_s >= 0]
    return {
        **recalls([target.scores for target in targets]),
        "targets": sum(target.scores.count for target in targets),
        "rejected": sum(target.rejected for target in targets),
        "median_rotation_deg": median([errors.rotation_deg for errors in best]),
        "median_translation_mm": median([errors.translation_m * MM_PER_M for errors in best]),
        "median_time_per_object_s": median(times),
    }


def summarize_by_object(
    targets: Sequence[ScoredTarget], names: Mapping[int, str]
) -> dict[str, dict[str, Any]]:
    """``summarize`` for each object, by name, and for "all"."""
    ids = sorted({target.obj_id for target in targets})
    rows = {names[i]: summarize([t for t in targets if t.obj_id == i]) for i in ids}
    return {**rows, "all": summarize(targets)}


def table(summary: Mapping[str, Mapping[str, Any]], title: str = "") -> Table:
    """A table with one row per object, the last one for all."""
    caption = "recalls in % (ADD and ADD-S: error < 10 % of the diameter)"
    out = Table(title=title, caption=caption, box=SIMPLE_HEAD, padding=0)
    out.add_column("object", min_width=NAME_WIDTH, overflow="fold")
    for column in ("targets", *COLUMNS, "rot °", "mm", "s/obj", "rejected"):
        out.add_column(column, justify="right", no_wrap=True)
    for name, row in summary.items():
        if name == "all":
            out.add_section()
        out.add_row(name, *cells(row), style="bold" if name == "all" else "")
    return out


def cells(row: Mapping[str, Any]) -> list[str]:
    """One row's numbers as text, in the order of the table's columns."""
    return [
        str(row["targets"]),
        *(number(100 * row[key], 0 if key.startswith("add") else 1) for key in KEYS),
        number(row["median_rotation_deg"], 1),
        number(row["median_translation_mm"], 1),
        number(row["median_time_per_object_s"], 2),
        str(row["rejected"]),
    ]


def detection_text(score: DetectionScore) -> str:
    """Return the average precision of the detection task as a line."""
    return (
        f"AP {number(score.average_precision, 2)} (ADD(-S) < 10 % of the diameter; "
        f"{score.poses} poses, {score.wrong} of them wrong, {score.instances} instances, "
        f"{score.images} images)"
    )


def number(value: float, digits: int) -> str:
    """A number with so many digits after the point, a dash when there is none."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return float(np.median(values)) if values else float("nan")


def as_json(
    summary: Mapping[str, Mapping[str, Any]],
    targets: Sequence[ScoredTarget],
    results: Sequence[ImageResult],
    names: Mapping[int, str],
    detection: DetectionScore | None = None,
) -> dict[str, Any]:
    """Everything of one evaluation as plain values (NaN becomes None)."""
    return {
        "machine": machine(),
        "summary": {name: plain(row) for name, row in summary.items()},
        **({"detection": plain(asdict(detection))} if detection else {}),
        "targets": [target_values(target, names) for target in targets],
        "images": [
            {
                "scene_id": result.scene_id,
                "im_id": result.im_id,
                "time_s": round(result.time_s, 4),
                "estimates": len(result.estimates),
                "reason": result.reason,
            }
            for result in results
        ],
    }


def target_values(target: ScoredTarget, names: Mapping[int, str]) -> dict[str, Any]:
    """One target as plain values."""
    return {
        "scene_id": target.scene_id,
        "im_id": target.im_id,
        "obj_id": target.obj_id,
        "name": names[target.obj_id],
        "instances": target.scores.count,
        "score": target.top_score,
        "time_s": round(target.time_s, 4),
        "add_hits": int(target.scores.hits["add"]),
        "add_s_hits": int(target.scores.hits["add_s"]),
        "estimates": [error_values(errors) for errors in target.scores.best],
    }


def error_values(errors: PoseErrors) -> dict[str, Any]:
    """Errors of one estimate as plain values."""
    return plain(
        {
            "add_diameters": errors.add,
            "add_s_diameters": errors.add_s,
            "mssd_diameters": errors.mssd,
            "mspd_px": errors.mspd,
            "mean_vsd": float(np.mean(errors.vsd)),
            "rotation_deg": errors.rotation_deg,
            "translation_mm": errors.translation_m * MM_PER_M,
        }
    )


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for JSON: rounded, not-a-number and infinity as None."""
    return {
        key: (round(value, 5) if math.isfinite(value) else None)
        if isinstance(value, float)
        else value
        for key, value in row.items()
    }


def machine() -> dict[str, Any]:
    """Return the machine of the measured times: processor, cores, Python; no names."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
        model = names[0] if names else model
    except OSError:  # not Linux
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": model, "cores": cores, "python": platform.python_version()}
