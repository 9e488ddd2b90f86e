"""Poses of four views, fused, against those of each view alone.

python -m benchmarks.views [--scenes 5] [--kinds table bin mug] [--json FILE]

Table: six objects and four other things. Bin: ten instances of one part between walls, none on top
of another. Mug: a mug without print, whose handle the last view does not show. All are synthetic,
640 x 480, with the sensor model of ``evaluation.synthetic.noise``. A target counts if a view shows
at least 10 % of it; it is found by a pose within 10 % of its diameter (the largest distance of a
corner of its box, up to symmetry), each pose for one target.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sam6d_ros.apps.api import open_engine
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.equivalence import nearest_equivalent
from sam6d_ros.evaluation.synthetic.around import Arrangement, make_views
from sam6d_ros.evaluation.synthetic.objects import CLUTTER, TARGETS, Item, mug
from sam6d_ros.evaluation.synthetic.patches import Solid
from sam6d_ros.evaluation.synthetic.placement import Area
from sam6d_ros.evaluation.synthetic.scene import SyntheticScene
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.runtime.views import View, fuse_views
from sam6d_ros.types import PoseEstimates

Array = NDArray[np.float64]

FOUND_DIAMETERS, MIN_VISIBLE = 0.1, 0.1
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


@dataclass
class Score:
    """Sum over scenes.

    Attributes:
        targets: number.
        errors_m: of the found targets, metres.
        wrong: poses that are of no target.
    """

    targets: int = 0
    errors_m: list[float] = field(default_factory=list)
    wrong: int = 0

    def add(
        self, poses: PoseEstimates, truth: Sequence[tuple[str, Array]], models: Mapping
    ) -> None:
        """Count the poses of one result; ``truth`` is in the same camera."""
        errors = np.array(
            [[_error(pose, name, at, models) for name, at in truth] for pose in poses.items]
        ).reshape(len(poses.items), len(truth))
        rows, columns = linear_sum_assignment(np.minimum(errors, 1e3))
        found = [
            float(errors[i, j])
            for i, j in zip(rows, columns, strict=True)
            if errors[i, j] <= FOUND_DIAMETERS * models[truth[j][0]].diameter
        ]
        self.targets += len(truth)
        self.errors_m += found
        self.wrong += len(poses.items) - len(found)

    @property
    def recall(self) -> float:
        """Share of the targets that were found."""
        return len(self.errors_m) / max(1, self.targets)

    @property
    def median_mm(self) -> float:
        """Median error of the found targets, millimetres."""
        return float(np.median(self.errors_m)) * MM_PER_M if self.errors_m else float("nan")


def _error(pose, name: str, cam_from_obj: Array, models: Mapping[str, ObjectModel]) -> float:
    if pose.class_id != name:
        return np.inf
    model = models[name]
    poses = (pose.cam_from_obj, cam_from_obj)
    return float(nearest_equivalent(*poses, model.symmetries, model.box_corners)[1])


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
    for scene in (make_views(arrangement(kind, seed), seed) for seed in range(scenes)):
        models = {model.name: model for model in scene.objects}
        engine = open_engine(ObjectSet(models), "geometric", max_instances=BIN_PARTS + 2)
        truth = targets_of(scene)
        views = [View(v.frame, engine.run(v.frame), v.world_from_cam) for v in scene.views]
        for view in views:
            scores["each view"].add(view.estimates, in_camera(truth, view.fixed_from_cam), models)
        last = in_camera(truth, views[-1].fixed_from_cam)
        scores["last view"].add(views[-1].estimates, last, models)
        scores["fused"].add(fuse_views(views, models, engine.acceptance), last, models)
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
    rows = []
    for kind in args.kinds or ("table", "bin", "mug"):
        for name, score in measure(kind, args.scenes).items():
            rows.append({"scenes": kind, "poses": name, **vars(score)})
            print(
                f"| {args.scenes} {kind} | {name} | {score.targets} | {score.recall:.3f} "
                f"| {score.median_mm:.2f} | {score.wrong} |",
                flush=True,
            )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
