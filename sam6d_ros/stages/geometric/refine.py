"""Refiners: the final pose of each instance with probability, alternatives and covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.alternatives import alternatives_of, covering
from sam6d_ros.stages.geometric.compare import explained_mask
from sam6d_ros.stages.geometric.covariance import pose_covariance
from sam6d_ros.stages.geometric.evidence import Evidence, evidence
from sam6d_ros.stages.geometric.examine import examine
from sam6d_ros.stages.geometric.features import FEATURES, Features
from sam6d_ros.stages.geometric.flow import JUDGE_RAYS, best_turns
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.judge import (
    shipped_instance_judge,
    shipped_judge,
    shipped_turn_weights,
)
from sam6d_ros.stages.geometric.kit import ObjectKit, kit_of
from sam6d_ros.stages.geometric.paired import BY_ITSELF, gains, shares
from sam6d_ros.stages.geometric.same_pose import without_equals
from sam6d_ros.stages.geometric.scene import at_working_size, resized
from sam6d_ros.stages.geometric.surroundings import (
    OF_POSE,
    Instances,
    pose_columns,
    surroundings,
    together,
)
from sam6d_ros.stages.kernels.threads import in_threads
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.types import Candidates, InstanceCandidates, PoseEstimate, PoseEstimates, Scene

DEFAULT_MIN_SCORE = 0.5  # probability; docs/conventions.md has the trade-off
WORTH_TURNING = 0.75  # of the best score of another method: near-symmetric rotations are tried
CELL_PX = 4  # of the grid on which instances are compared
REPORTED = ("fit_tight", "visible", "rim", "color", "texture")  # features in [0, 1], for people


class PoseJudge:
    """Refiner that keeps the poses and states how probable each is."""

    def __init__(self, context: BuildContext) -> None:
        self._context = context

    def prepare(self, model: ObjectModel) -> None:
        """Render the views of the object, or load them from the cache.

        Args:
            model: the object.
        """
        kit_of(model, self._context)

    def refine(
        self, scene: Scene, candidates: Candidates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Return the most probable pose of each instance, masks of the frame's size.

        Args:
            scene: the frame.
            candidates: hypotheses of each instance.
            objects: models of the instances.
        """
        frame, view = scene.frame, scene.derived(evidence)
        kits = {model.name: kit_of(model, self._context).seen_in(view.scene) for model in objects}
        known = [item for item in candidates.items if item.class_id in kits]
        size = (frame.camera.width, frame.camera.height)

        def judged(item: InstanceCandidates) -> _Judged:
            scene.checkpoint()
            return self._judged(view, kits[item.class_id], item, size)

        found = in_threads(judged, known)
        probability = shipped_instance_judge().probability(surroundings(_all_of(found)))
        items = [one.estimate(float(p)) for one, p in zip(found, probability, strict=True)]
        reason = "" if found else "no candidate could be refined"
        return PoseEstimates(tuple(items), frame.stamp_ns, frame.frame_id, reason)

    def _hypotheses(
        self, view: Evidence, kit: ObjectKit, instance: InstanceCandidates
    ) -> Hypotheses:
        """Return the poses to be judged."""
        region = np.ones(len(instance.score), np.int64)
        return Hypotheses.from_poses(instance.cam_from_obj, instance.score, region)

    def _judged(
        self, view: Evidence, kit: ObjectKit, instance: InstanceCandidates, size: tuple[int, int]
    ) -> _Judged:
        poses = self._hypotheses(view, kit, instance)
        maps = view.maps(np.zeros(view.scene.depth.shape, np.int32))
        features = examine(view, maps, kit, poses, JUDGE_RAYS, full=True)
        alone = shipped_judge().log_odds_of(features)
        order, share = _ranked(view, kit, poses, features, alone)
        best = int(order[0])
        pose, others = poses.poses[best], poses.poses[order[1:]]
        mask = explained_mask(view.scene, kit.model, pose)
        covariance = pose_covariance(view.scene, kit, pose)
        values = features.values[best]
        estimate = PoseEstimate(
            kit.model.name,
            float(share[0]),
            pose,
            covering(covariance, pose, others, share),
            resized(mask, size),
            instance.instance_id,
            {name: float(np.clip(values[FEATURES.index(name)], 0, 1)) for name in REPORTED},
            visible=float(features["visible"][best]),
        )
        log_odds, turns = together(alone[order])
        return _Judged(
            estimate, others, share[1:], log_odds, turns, pose_columns(features, best),
            mask[::CELL_PX, ::CELL_PX].ravel(),
        )  # fmt: skip


@dataclass(frozen=True)
class _Judged:
    """One instance, judged by itself.

    Attributes:
        alone: the estimate with the share of its pose as score.
        others: (K, 4, 4) the other poses.
        shares: (K,) of the others.
        log_odds, turns, of_pose, cells: as in :class:`Instances`.
    """

    alone: PoseEstimate
    others: NDArray[np.float64]
    shares: NDArray[np.float64]
    log_odds: float
    turns: float
    of_pose: NDArray[np.float64]
    cells: NDArray[np.bool_]

    def estimate(self, probability: float) -> PoseEstimate:
        """Return the estimate, given the probability that one of its poses is right."""
        name = self.alone.class_id
        others = alternatives_of(name, self.others, probability * self.shares)
        return replace(self.alone, score=probability * self.alone.score, alternatives=others)


def _all_of(found: Sequence[_Judged]) -> Instances:
    cells = [one.cells for one in found] or [np.zeros(0, np.bool_)]
    return Instances(
        tuple(one.alone.class_id for one in found),
        np.array([one.log_odds for one in found]),
        np.array([one.turns for one in found]),
        np.stack(cells),
        np.array([one.of_pose for one in found]).reshape(len(found), len(OF_POSE)),
    )


def _ranked(
    view: Evidence,
    kit: ObjectKit,
    poses: Hypotheses,
    features: Features,
    alone: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the indices of the different poses and the share of each, the largest first.

    The judge states how probable it is that one of them is right, the paired comparison which one.
    """
    order = np.argsort(-alone, kind="stable")
    order = order[without_equals(kit.model, poses.poses[order])]
    by_itself = (features[name][order] for name in BY_ITSELF)
    columns = np.column_stack([alone[order], *by_itself, gains(view, kit, poses.take(order))])
    share = shares(columns, shipped_turn_weights())
    first = np.argsort(-share, kind="stable")
    return order[first], share[first]


class RenderRefiner(PoseJudge):
    """Refiner of poses that another method estimated: near-symmetric rotations, Gauss-Newton."""

    def _hypotheses(
        self, view: Evidence, kit: ObjectKit, instance: InstanceCandidates
    ) -> Hypotheses:
        labels = at_working_size(instance.mask, view.scene).astype(np.int32)
        start = super()._hypotheses(view, kit, instance)
        worth = start.score >= WORTH_TURNING * start.score.max(initial=0.0)
        rest = start.take(np.flatnonzero(~worth))
        tried = best_turns(view, view.maps(labels), kit, start.take(np.flatnonzero(worth)))
        return Hypotheses.joined(tried, rest)
