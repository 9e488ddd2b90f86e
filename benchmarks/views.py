"""Poses of four views, fused, against those of each view alone.

python -m benchmarks.views [--scenes 5] [--kinds table bin mug] [--json FILE]

Table: six objects and four other things. Bin: ten instances of one part between walls, none on top
of another. Mug: a mug without print, whose handle the last view does not show. All are synthetic,
640 x 480, with the sensor model of ``evaluation.synthetic.noise``. A target counts if a view shows
at least 10 % of it; it is found by a pose within 10 % of its diameter (the largest distance of a
corner of its box, up to symmetry), each pose for one target. Below the table are the targets found
of each object, and its wrong poses in brackets.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pose_scores import Score, difference
from sam6d_ros.apps.api import open_engine
from sam6d_ros.evaluation.synthetic.around import Arrangement, make_views
from sam6d_ros.evaluation.synthetic.objects import CLUTTER, TARGETS, Item, mug
from sam6d_ros.evaluation.synthetic.patches import Solid
from sam6d_ros.evaluation.synthetic.placement import Area
from sam6d_ros.evaluation.synthetic.scene import SyntheticScene
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.runtime.views import View, fuse_views, limits_of_a_view
from sam6d_ros.stages.accept import accept

Array = NDArray[np.float64]

MIN_VISIBLE = 0.1
BIN_PARTS, BIN_AREA, BIN_WALLS_M = 10, Area(0.22, 0.16), 0.08
LOW = (0.25, 0.4)  # radians: from higher up the handle would be seen above the rim
OBJECTS = ("tea_box", "soup_can", "mug", "bracket", "toy_cat", "bottle")


def plain_mug() -> Solid:
    """A mug of one colour."""
    solid = mug()
    return replace(solid, colors=np.full_like(solid.colors, 226))


def arrangement(kind: str, seed: int) -> Arrangement:
    """Return the things of one scene."""
    rng = np.random.default_rng(seed)
    known = {item.name: item for item in TARGETS}
    if kind == "mug":
        item = Item("plain_mug", plain_mug, ((0, 0, 1),))
        return Arrangement([item], behind=True, elevation=LOW, area=Area(0.1, 0.1))
    if kind == "bin":
        part = known[("bracket", "soup_can")[seed % 2]]
        return Arrangement([part] * BIN_PARTS, area=BIN_AREA, walls_m=BIN_WALLS_M)
    others = [CLUTTER[i] for i in rng.permutation(len(CLUTTER))[:4]]
    return Arrangement([known[name] for name in OBJECTS], others)


def targets_of(scene: SyntheticScene) -> list[tuple[str, Array]]:
    """Name and world_from_obj of the targets that a view shows."""
    shown: dict[int, tuple[str, Array]] = {}
    for view in scene.views:
        for truth in view.ground_truth:
            if truth.visibility >= MIN_VISIBLE:
                pose = view.world_from_cam @ truth.cam_from_obj
                shown[truth.obj_id] = (truth.class_id, pose)
    return list(shown.values())


def in_camera(truth: Sequence[tuple[str, Array]], world_from_cam: Array) -> list:
    """Return the targets in a camera."""
    return [(name, se3.inverse(world_from_cam) @ pose) for name, pose in truth]


def measure(kind: str, scenes: int) -> dict[str, Score]:
    """Return the scores of the single views, of the last one, and of all fused."""
    scores = {name: Score() for name in ("each view", "last view", "fused")}
    for seed in range(scenes):
        scene = make_views(arrangement(kind, seed), seed)
        models = {model.name: model for model in scene.objects}
        engine = open_engine(ObjectSet(models), "geometric", max_instances=BIN_PARTS + 2)
        truth = targets_of(scene)
        limits = limits_of_a_view(engine.acceptance)
        views = [
            View(v.frame, engine.run(v.frame, acceptance=limits), v.world_from_cam)
            for v in scene.views
        ]
        for view in views:
            seen = in_camera(truth, view.fixed_from_cam)
            alone = accept(view.estimates, engine.acceptance)
            scores["each view"].add(alone, seen, models, seed)
        last = in_camera(truth, views[-1].fixed_from_cam)
        scores["last view"].add(alone, last, models, seed)
        fused = fuse_views(views, models, engine.acceptance)
        scores["fused"].add(fused, last, models, seed)
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line per kind of scene and result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", choices=("table", "bin", "mug"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    print("| scenes | poses of | targets | recall | median error mm | wrong poses |")
    print("|---|---|---|---|---|---|")
    rows, notes = [], []
    for kind in args.kinds or ("table", "bin", "mug"):
        scores = measure(kind, args.scenes)
        gain = difference(scores["last view"], scores["fused"])
        notes.append(
            f"{kind}: fused {100 * gain.recall:+.1f} points to the last view (standard error "
            f"{100 * gain.error:.1f}), {gain.won} won, {gain.lost} lost"
        )
        notes += [f"{kind}, {name}: {score.by_object()}" for name, score in scores.items()]
        for name, score in scores.items():
            rows.append({"scenes": kind, "poses": name, **vars(score)})
            print(
                f"| {args.scenes} {kind} | {name} | {score.targets} | {score.recall:.3f} "
                f"| {score.median_mm:.2f} | {score.wrong} |",
                flush=True,
            )
    print("\n".join(["", *notes]))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
