"""Results of `sam6d estimate`: files for the user, lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from sam6d_ros import exchange, visualize
from sam6d_ros.apps.cli import output
from sam6d_ros.apps.cli.options import CONSOLE, result_console
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.json_text import json_text
from sam6d_ros.runtime.error_table import NOTHING_FOUND
from sam6d_ros.types import Frame, PoseEstimates

REJECTED_SHOWN = 5
PROBABLE = 0.2  # a less probable alternative is in poses.json only


def finish(
    out: Path | None,
    frame: Frame,
    poses: PoseEstimates,
    models: Sequence[ObjectModel],
    inputs: Mapping[str, str],
) -> int:
    """Write the results to a folder, or print the poses as JSON; return the exit code."""
    values = exchange.poses_as_json(frame, poses, by_name(models), inputs)
    if out is not None:
        write_results(out, frame, poses, models, values)
        report(poses, out)
    else:
        print(json_text(values))
        if not len(poses):
            CONSOLE.print(nothing_found(poses), markup=False)
    return 0 if len(poses) else NOTHING_FOUND


def by_name(models: Sequence[ObjectModel]) -> dict[str, ObjectModel]:
    """Return the models by name."""
    return {model.name: model for model in models}


def write_results(
    out: Path,
    frame: Frame,
    poses: PoseEstimates,
    models: Sequence[ObjectModel],
    values: Mapping[str, Any],
) -> None:
    """Write poses.json and overlay.png."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "poses.json").write_text(json_text(values))
    overlay = visualize.draw_poses(frame.rgb, frame.camera, poses.items, by_name(models))
    output.write_png(out / "overlay.png", overlay)


def nothing_found(poses: PoseEstimates) -> str:
    """Return the line of an empty result."""
    return f"nothing found: {poses.reason or 'no reason was given'}"


def report(poses: PoseEstimates, out: Path) -> None:
    """Print the poses, or why there is none, and where the files are."""
    console = result_console()
    if len(poses):
        table = Table()
        table.add_column("object")
        for column in ("score", "x m", "y m", "z m", "quaternion xyzw"):
            table.add_column(column, justify="right")
        for pose in poses.items:
            table.add_row(pose.class_id, f"{pose.score:.2f}", *output.pose_text(pose))
        console.print(table)
    else:
        console.print(nothing_found(poses), markup=False)
    for line in (*ambiguous_lines(poses), *rejected_lines(poses)):
        console.print(line, markup=False, soft_wrap=True)
    seconds = poses.timings_s.get("total", sum(poses.timings_s.values()))
    console.print(f"{seconds:.2f} s; see {out}/overlay.png, {out}/poses.json", soft_wrap=True)


def ambiguous_lines(poses: PoseEstimates) -> list[str]:
    """Return which poses have a probable alternative, such as a mug whose handle is hidden."""
    first = [(pose.instance_id, pose.alternatives[0]) for pose in poses.items if pose.alternatives]
    return [
        f"ambiguous: {name}: another pose of {other.class_id} has the probability "
        f"{other.probability:.2f}; see alternatives in poses.json, and docs/views.md"
        for name, other in first
        if other.probability >= PROBABLE
    ]


def rejected_lines(poses: PoseEstimates) -> list[str]:
    """Return why detections have no pose in the result; the reason of an empty one has the best."""
    rejected = poses.rejected if len(poses) else poses.rejected[1:]
    lines = [f"rejected: {item.instance_id}: {item.reason}" for item in rejected[:REJECTED_SHOWN]]
    more = len(rejected) - REJECTED_SHOWN
    return [*lines, f"and {more} more, see poses.json"] if more > 0 else lines
