"""Search for one object with the table of every stage, to see where an instance is lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.evidence import evidence
from sam6d_ros.stages.geometric.faces import has_large_face, with_faces
from sam6d_ros.stages.geometric.flow import Search
from sam6d_ros.stages.geometric.hypotheses import Hypotheses, Seeds
from sam6d_ros.stages.geometric.kit import kit_of
from sam6d_ros.stages.geometric.propose import SegmentProposer
from sam6d_ros.stages.geometric.score import label_image
from sam6d_ros.stages.geometric.seeds import seeds_in
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.types import Scene

STAGES = (
    "seeds", "search", "quota", "fit", "compared", "chosen", "refined", "distinct", "turned",
)  # fmt: skip


def stages_of(scene: Scene, model: ObjectModel, context: BuildContext) -> dict[str, NDArray]:
    """Return the poses (N, 4, 4) of each of STAGES but the first, which has points (S, 3).

    Args:
        scene: the frame.
        model: the object.
        context: cache folder and library of the engine.
    """
    view = scene.derived(evidence)
    proposals = SegmentProposer().propose(scene)
    labels = label_image(proposals, range(len(proposals)), view.scene)
    if has_large_face(model):
        labels = with_faces(labels, view.scene, model)
    kit = kit_of(model, context).seen_in(view.scene)
    seeds = seeds_in(view.scene, labels, kit)
    tables: dict[str, NDArray] = {"seeds": _points(view.scene.depth, seeds, view.camera)}

    def listen(stage: str, table: Hypotheses) -> None:
        tables[stage] = table.poses

    Search(view, view.maps(labels), kit, listen).run(seeds)
    return tables


def _points(depth: NDArray[np.float32], seeds: Seeds, camera: Sequence[float]) -> NDArray:
    """Return the seeds as points (S, 3) in metres."""
    fx, fy, cx, cy = camera
    rows, columns = seeds.pixels_rc.T
    z = depth[rows, columns].astype(np.float64)
    return np.stack([(columns - cx) / fx * z, (rows - cy) / fy * z, z], axis=1)
