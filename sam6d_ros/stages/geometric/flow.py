"""Search for one object: arrays of hypotheses from seeds to judged candidates.

Each stage takes a table of hypotheses and returns its survivors with their parents' index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from sam6d_ros.stages.geometric.evidence import Evidence
from sam6d_ros.stages.geometric.examine import examine
from sam6d_ros.stages.geometric.features import Features
from sam6d_ros.stages.geometric.fit import fit_closely, fit_to_depth
from sam6d_ros.stages.geometric.gauss_newton import improved
from sam6d_ros.stages.geometric.hypotheses import Hypotheses, Seeds, diverse
from sam6d_ros.stages.geometric.judge import Judge, shipped_judge
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.geometric.search import coarse_search
from sam6d_ros.stages.geometric.turns import turned
from sam6d_ros.stages.kernels.inputs import Maps

FITTED = 32  # hypotheses of each place that are fitted coarsely
FITTED_WELL, COMPARED, REFINED = 16, 6, 4  # of each place that reach the next stages
COARSE_FIT, FINE_FIT = (3, (0.12, 0.06)), (7, (0.06, 0.03))  # iterations; gates, diameters
MAX_REFINED = 400
TURNS_COMPARED = 24  # rotations of one survivor
TURNED, ROUND_TURNED = 3, 8  # of the rotations of one survivor that are refined; of a round shape
FIRST_RAYS, REFINED_RAYS, TURN_RAYS, LAST_RAYS, JUDGE_RAYS = 160, 400, 250, 1200, 2500
WORTH_REFINING = -6.5  # least log odds by the judge: of what is refined
WORTH_KEEPING = -5.0  # of a survivor
WORTH_TURNING = -3.5  # of one whose near-symmetric rotations are tried
MAX_SURVIVORS = 150
TURN_MARGIN = 0.08  # of the quality: a rotation that is worse by more is dropped
APART = 0.12  # diameters between the centres of two survivors
OTHER_TURN = np.radians(25)  # rotations farther apart are other poses of one instance
TURNS_KEPT = 2  # survivors with one centre

Listener = Callable[[str, Hypotheses], None]
Checkpoint = Callable[[], None]


@dataclass(frozen=True)
class Search:
    """One object in one frame.

    Attributes:
        view: evidence of the frame.
        maps: the same for the compiled loops, with the regions.
        kit: the object, with the colours that the frame can show.
        listen: receives the table of each stage, for diagnosis.
        checkpoint: called between the stages; raises to end the search.
        full: whether the features that the shipped judge does not use are computed, too.
        judge: orders the hypotheses that were compared.
    """

    view: Evidence
    maps: Maps
    kit: ObjectKit
    listen: Listener = lambda stage, table: None
    checkpoint: Checkpoint = lambda: None
    full: bool = False
    judge: Judge = field(default_factory=shipped_judge)

    def run(self, seeds: Seeds) -> tuple[Hypotheses, Features]:
        """Return the candidates, best first by quality, and their features.

        Args:
            seeds: pixels at which the search begins.
        """
        kit, diameter = self.kit, self.kit.model.diameter
        found = self._stage("search", coarse_search(self.view.scene, self.maps.labels, seeds, kit))
        found = self._stage("quota", self._diverse(found, FITTED))
        found = fit_to_depth(self.view.scene, self.maps.labels, found, kit, *COARSE_FIT)
        self.checkpoint()
        found = self._diverse(found.placed(kit.centre, diameter), FITTED_WELL)
        found = fit_to_depth(self.view.scene, self.maps.labels, found, kit, *FINE_FIT)
        found = self._stage("fit", found.placed(kit.centre, diameter))
        found = self._stage("compared", self._compared(self._diverse(found, COMPARED), FIRST_RAYS))
        found = self._stage("chosen", self._chosen(found))
        found = self._stage(
            "refined",
            improved(self.view, self.maps, kit, found, REFINED_RAYS, self.judge.log_odds_of),
        )
        found = self._stage("distinct", distinct(found, kit))
        found = self._stage("turned", self._turned(found))
        features = examine(self.view, self.maps, kit, found, JUDGE_RAYS, self.full)
        order = np.argsort(-features.quality, kind="stable")
        found = found.with_score(features.quality).take(order)
        return found, Features(features.values[order])

    def _stage(self, name: str, table: Hypotheses) -> Hypotheses:
        """Report the table of a stage; its hypotheses are the parents of the next stage."""
        self.listen(name, table)
        self.checkpoint()
        return table.numbered()

    def _turned(self, found: Hypotheses) -> Hypotheses:
        worth = found.score >= WORTH_TURNING
        tried, rest = found.take(np.flatnonzero(worth)), found.take(np.flatnonzero(~worth))
        every = best_turns(self.view, self.maps, self.kit, tried, self.checkpoint)
        return Hypotheses.joined(every, rest)

    def _diverse(self, table: Hypotheses, per_place: int) -> Hypotheses:
        return diverse(table, self.kit.centre, self.kit.model.diameter, per_place)

    def _compared(self, table: Hypotheses, rays: int) -> Hypotheses:
        """Return the same hypotheses with the log odds by the judge as score."""
        features = examine(self.view, self.maps, self.kit, table, rays, full=False)
        return table.with_score(self.judge.log_odds_of(features))

    def _chosen(self, table: Hypotheses) -> Hypotheses:
        """Return the hypotheses that are worth a refinement."""
        best = self._diverse(table, REFINED)
        best = best.take(np.flatnonzero(best.score > WORTH_REFINING))
        return best.take(np.arange(min(len(best), MAX_REFINED)))


def best_turns(
    view: Evidence,
    maps: Maps,
    kit: ObjectKit,
    table: Hypotheses,
    checkpoint: Checkpoint = lambda: None,
) -> Hypotheses:
    """Return the poses and the best near-symmetric rotations of each, refined.

    Args:
        view: maps of the frame.
        maps: the same, for the compiled loops.
        kit: views of the object.
        table: N hypotheses.
        checkpoint: called between the steps; raises to end them.
    """
    if not len(table):
        return table

    def diverse_of(hypotheses: Hypotheses, count: int) -> Hypotheses:
        return diverse(hypotheses, kit.centre, kit.model.diameter, count)

    every = diverse_of(
        fit_closely(view.scene, maps.labels, turned(kit, table), kit), TURNS_COMPARED
    )
    checkpoint()
    every = every.with_score(examine(view, maps, kit, every, TURN_RAYS, full=False).quality)
    own = replace(table, place=np.arange(len(table)))
    own = own.with_score(examine(view, maps, kit, own, TURN_RAYS, full=False).quality)
    checkpoint()
    most = ROUND_TURNED if len(kit.model.shape_symmetries.axes) else TURNED
    every = _near_best(diverse_of(Hypotheses.joined(own, every), most))
    every = _near_best(improved(view, maps, kit, every, LAST_RAYS))
    return Hypotheses.joined(every, own)


def _near_best(table: Hypotheses) -> Hypotheses:
    """Return the hypotheses that are nearly as good as the best one of their place."""
    best = np.zeros(int(table.place.max(initial=-1)) + 1)
    np.maximum.at(best, table.place, table.score)
    return table.take(np.flatnonzero(table.score > best[table.place] - TURN_MARGIN))


def distinct(table: Hypotheses, kit: ObjectKit) -> Hypotheses:
    """Return the survivors, best first: other places, or other rotations at one place.

    Args:
        table: N hypotheses with log odds by the judge.
        kit: views of the object.
    """
    ranked = table.take(np.argsort(-table.score, kind="stable"))
    centres = ranked.centres(kit.centre)
    kept: list[int] = []
    for i in range(len(ranked)):
        if ranked.score[i] < WORTH_KEEPING or len(kept) == MAX_SURVIVORS:
            break
        gap = np.linalg.norm(centres[kept] - centres[i], axis=1)
        same = np.array(kept, np.int64)[gap < APART * kit.model.diameter]
        cosine = (np.einsum("nij,ij->n", ranked.rotation[same], ranked.rotation[i]) - 1) / 2
        if len(same) < TURNS_KEPT and (cosine < np.cos(OTHER_TURN)).all():
            kept.append(i)
    return ranked.take(np.array(kept, np.int64))
