"""Poses found with scanned models, against those found with the meshes that were filmed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.pose_scores import Score, difference
from sam6d_ros.apps.api import open_engine
from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.cad.onboard import onboard_mesh
from sam6d_ros.evaluation.synthetic.around import Arrangement, make_views
from sam6d_ros.evaluation.synthetic.objects import CLUTTER, Item
from sam6d_ros.evaluation.synthetic.patches import Solid
from sam6d_ros.evaluation.synthetic.scene import SyntheticView, solid_of
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.types import PoseEstimates

Array = NDArray[np.float64]

TRUE = "true mesh"
MIN_VISIBLE, CLUTTER_COUNT = 0.1, 3


@dataclass(frozen=True)
class Scan:
    """A scanned model and its place in the frame of the filmed mesh."""

    mesh: Mesh
    truth_from_scan: Array
    row: dict[str, object]


def compare(
    chosen: Sequence[Item], scans: Mapping[str, Mapping[str, Scan]], seeds: Iterable[int]
) -> list[dict[str, object]]:
    """Find all objects in fresh scenes with the true meshes and with those of each mode.

    Args:
        chosen: the objects.
        scans: models by object and mode.
        seeds: of the scenes.

    Returns:
        One row per set of models.
    """
    modes = list(next(iter(scans.values())))
    meshes = {TRUE: {item.name: _mesh(solid_of(item)) for item in chosen}}
    places = {TRUE: {item.name: np.eye(4) for item in chosen}}
    for mode in modes:
        meshes[mode] = {name: found[mode].mesh for name, found in scans.items()}
        places[mode] = {name: found[mode].truth_from_scan for name, found in scans.items()}
    models = {
        label: {name: onboard_mesh(mesh, name) for name, mesh in named.items()}
        for label, named in meshes.items()
    }
    scores = {label: Score() for label in models}
    for seed in seeds:
        scene = make_views(Arrangement(chosen, CLUTTER[:CLUTTER_COUNT]), seed)
        for label, named in models.items():
            engine = open_engine(ObjectSet(named), "geometric", max_instances=len(chosen))
            for view in scene.views:
                found = _in_truth(engine.run(view.frame), places[label])
                scores[label].add(found, _targets(view), models[TRUE], seed)
        print(f"scene {seed}: {_progress(scores)}", flush=True)
    _print(scores)
    return [{"model": label, **vars(score)} for label, score in scores.items()]


def _print(scores: Mapping[str, Score]) -> None:
    print("\n| model | targets | recall | difference, points | median error mm | wrong poses |")
    print("|---|---:|---:|---:|---:|---:|")
    notes = []
    for label, score in scores.items():
        change = "–"
        if label != TRUE:
            paired = difference(scores[TRUE], score)
            change = f"{100 * paired.recall:+.1f} ± {100 * paired.error:.1f}"
            notes.append(
                f"{label}: {paired.won} targets won, {paired.lost} lost; exact McNemar test "
                f"p = {paired.chance:.2g}"
            )
        print(
            f"| {label} | {score.targets} | {score.recall:.3f} | {change} | {score.median_mm:.2f} "
            f"| {score.wrong} |"
        )
    notes += [f"{label}: {score.by_object()}" for label, score in scores.items()]
    print("\n" + "\n".join(notes), flush=True)


def _progress(scores: Mapping[str, Score]) -> str:
    return ", ".join(f"{label} {score.recall:.3f}" for label, score in scores.items())


def _mesh(solid: Solid) -> Mesh:
    return Mesh(solid.vertices, solid.faces, solid.colors, is_metric=True)


def _targets(view: SyntheticView) -> list[tuple[str, Array]]:
    return [
        (truth.class_id, truth.cam_from_obj)
        for truth in view.ground_truth
        if truth.visibility >= MIN_VISIBLE
    ]


def _in_truth(found: PoseEstimates, truth_from_scan: Mapping[str, Array]) -> PoseEstimates:
    """Return poses of the filmed meshes instead of the scanned ones."""
    moved = tuple(
        replace(pose, cam_from_obj=pose.cam_from_obj @ se3.inverse(truth_from_scan[pose.class_id]))
        for pose in found.items
    )
    return replace(found, items=moved)
