"""Models from recordings against the meshes that were filmed, and poses found with them.

python -m benchmarks.scan [--objects plate mug …] [--frames 80] [--scenes 5] [--json FILE]

Each object is filmed twice around, from 25 to 75 degrees, on a printed board and on bare wood, by a
simulated stereo camera (``evaluation.synthetic.depth_camera``). The camera's truth is given in the
mode "poses" alone. In the mode "second" the object is turned over and filmed again, both times on
the board. In the mode "turntable" the camera stands 50 degrees above a table with a print, which
turns once; the motion is that of the scene. Times are those of the scan, without the filming.

The poses are those of one frame of fresh scenes with all objects on a table, seen from four places
each: a target counts if 10 % of it is visible, and is found by a pose within 10 % of its diameter.
The objects stand as they were scanned; with --any-side some lie or stand on their heads, and show
what a single pass has not seen. Both models are asked about the same frames, so that the difference
of their recalls is printed with the standard error of paired targets, over scenes; below it, the
targets found of each object, with wrong poses in brackets.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.scan_objects import NAMES, UP, items
from benchmarks.scan_poses import Scan, compare
from sam6d_ros.evaluation.scan_scores import score_scan
from sam6d_ros.evaluation.synthetic.depth_camera import STEREO
from sam6d_ros.evaluation.synthetic.objects import Item
from sam6d_ros.evaluation.synthetic.orbit import Orbit, OrbitPlan, record
from sam6d_ros.evaluation.synthetic.patches import Solid
from sam6d_ros.evaluation.synthetic.scene import solid_of
from sam6d_ros.geometry import se3
from sam6d_ros.scan.board import BoardSpec
from sam6d_ros.scan.build import Recorded, scan_object
from sam6d_ros.scan.masks import turntable_masks
from sam6d_ros.scan.motion import from_board, from_poses
from sam6d_ros.scan.scene_motion import from_scene

BOARD = BoardSpec(11, 8, 0.035)
FILMS = {  # how the recordings of each mode are filmed
    "poses": ("board",),
    "board": ("board",),
    "scene": ("bare",),
    "second": ("board", "turned"),
    "turntable": ("turntable",),
}
MODES = ("poses", "board", "scene")
UPSIDE_DOWN = Rotation.from_euler("xz", [180, 40], degrees=True).as_matrix()
TURNTABLE_M = 0.2
ELEVATIONS = (float(np.deg2rad(25.0)), float(np.deg2rad(75.0)))
SEED = 11


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line per object and source of the motion, then one per set of models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--modes", nargs="+", choices=tuple(FILMS), default=MODES)
    parser.add_argument("--frames", type=int, default=80)
    parser.add_argument("--scenes", type=int, default=5, help="of the poses; 0 for none")
    parser.add_argument("--first-scene", type=int, default=1000, help="seed of the first of them")
    parser.add_argument("--any-side", action="store_true", help="objects may lie in these scenes")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    chosen = items(tuple(args.objects))
    print("| object | motion | chamfer mm | within 2 mm | CPU s |\n|---|---|---:|---:|---:|")
    scans = {item.name: measure(item, args.frames, args.modes) for item in chosen}
    rows = [scan.row for found in scans.values() for scan in found.values()]
    if args.scenes:
        stand = chosen if args.any_side else [replace(item, ups=(UP,)) for item in chosen]
        rows += compare(stand, scans, range(args.first_scene, args.first_scene + args.scenes))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def measure(item: Item, frames: int, modes: Sequence[str]) -> dict[str, Scan]:
    """Scan one object by each source of the motion."""
    solid = solid_of(item)
    filmed: dict[str, Orbit] = {}
    out = {}
    for mode in modes:
        for film in FILMS[mode]:
            if film not in filmed:
                filmed[film] = record(solid, SEED, _plan(film, frames))
        out[mode] = scan = _scanned([filmed[film] for film in FILMS[mode]], solid, mode)
        scan.row["object"] = item.name
        print(
            f"| {item.name} | {mode} | {scan.row['chamfer_mm']:.2f} | {scan.row['complete']:.1%} "
            f"| {scan.row['cpu_s']:.0f} |",
            flush=True,
        )
    return out


def _plan(film: str, frames: int) -> OrbitPlan:
    plan = OrbitPlan(frames, depth_camera=STEREO, elevations=ELEVATIONS)
    if film == "bare":
        return plan
    if film == "turntable":
        return replace(plan, turntable=True, mat=_print(), mat_m=BOARD.size_m, turns=1.0)
    standing = UPSIDE_DOWN if film == "turned" else np.eye(3)
    return replace(plan, mat=_print(), mat_m=BOARD.size_m, standing=standing)


def _print() -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(BOARD.image(40), cv2.COLOR_GRAY2RGB), np.uint8)


def _scanned(films: Sequence[Orbit], solid: Solid, mode: str) -> Scan:
    wall, cpu = time.perf_counter(), time.process_time()
    first, *further = [_recorded(mode, filmed) for filmed in films]
    motion = first.motion
    scanned = scan_object(
        first.frames, motion, masks=first.masks, second=further[0] if further else None
    )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    used, orbit = motion.used[0], films[0]
    world = orbit.world_from_cam[used] @ se3.inverse(motion.world_from_cam[used])
    guess = se3.inverse(orbit.world_from_obj) @ world @ scanned.world_from_obj
    mesh = scanned.mesh
    score = score_scan((mesh.vertices, mesh.faces), (solid.vertices, solid.faces), guess)
    row = {
        "motion": mode,
        "chamfer_mm": score.chamfer_mm,
        "complete": score.completeness,
        "wall_s": wall,
        "cpu_s": cpu,
    }
    return Scan(mesh, score.truth_from_scan, row)


def _recorded(mode: str, filmed: Orbit) -> Recorded:
    """Return a recording with the motion that a mode finds."""
    if mode == "poses":
        return Recorded(filmed, from_poses(list(np.asarray(filmed.world_from_cam)), len(filmed)))
    if mode == "turntable":
        masks = turntable_masks(filmed, TURNTABLE_M)
        return Recorded(filmed, from_scene(filmed, masks), masks)
    return Recorded(filmed, from_scene(filmed) if mode == "scene" else from_board(filmed, BOARD))


if __name__ == "__main__":
    raise SystemExit(main())
