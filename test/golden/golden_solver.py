"""Golden checks of the pose solvers."""

from __future__ import annotations

import torch
from golden_pem import SOLVER, missing, tensor
from golden_reference import Reference
from golden_report import Report
from torch import Tensor

from sam6d_ros.models import pose_solver


def check_pose_solver(ref: Reference, name: str, report: Report) -> None:
    """Procrustes and both solvers from planted logits."""
    a = {key: tensor(value) for key, value in ref.arrays(name).items()}
    for prefix, weights, floor in (
        ("wp", a["wp_w"], 0.0),
        ("wp05", a["wp_w"], 0.5),
        ("wpnone", None, 0.0),
    ):
        rotation, translation = pose_solver.procrustes(a["wp_src"], a["wp_ref"], weights, floor)
        report.compare(name, f"{prefix}_R", rotation, a[f"{prefix}_R"], SOLVER)
        report.compare(name, f"{prefix}_t", translation, a[f"{prefix}_t"], SOLVER)
    check_coarse_solver(a, name, report)
    check_fine_solver(a, name, report)


def check_coarse_solver(a: dict[str, Tensor], name: str, report: Report) -> None:
    """Assignment, sampling, hypotheses and choice."""
    assignment = pose_solver.assign(a["c_atten"])
    report.compare(name, "c_assign", assignment.matrix, a["c_assign"], 1e-5)
    report.compare(name, "c_label1", assignment.label_obs, a["c_label1"], 0)
    report.compare(name, "c_label2", assignment.label_obj, a["c_label2"], 0)
    cumulated = pose_solver.sampling_distribution(assignment)
    report.compare(name, "c_cumsum", cumulated, a["c_cumsum"], 1e-5)
    drawn = pose_solver.draw_matches(cumulated, a["c_u"])
    differ = (drawn != a["c_sample_idx"]).float().mean()
    report.add(name, "c_sample_idx (fraction)", differ, 0.08, "own draws from the same uniforms")
    hypotheses = pose_solver.hypothesise(a["c_sample_idx"], a["c_p1"], a["c_p2"])
    unique = a["c_hyp_sv_ratio"] > 1e-2
    for key, ours in (("R", hypotheses.rotation), ("t", hypotheses.translation)):
        report.compare(
            name, f"c_hyp_{key}", ours[unique], a[f"c_hyp_{key}"][unique], 1e-3, "unique ones"
        )
    report.compare(name, "c_hyp_residual", hypotheses.residual, a["c_hyp_residual"], SOLVER)
    ratio = singular_ratio(a["c_sample_idx"], a["c_p1"], a["c_p2"])
    report.compare(name, "c_hyp_sv_ratio", ratio, a["c_hyp_sv_ratio"], 1e-3)
    kept, numbers = pose_solver.keep_best(hypotheses, int(a["c_nproposal"][1]))
    kept = pose_solver.decompose_repeats(kept, numbers, a["c_sample_idx"], a["c_p1"], a["c_p2"])
    report.add(
        name, "c_top_id (missing)", missing(numbers, a["c_top_id"]), 0.05, "fraction of the kept"
    )
    scores = pose_solver.score_hypotheses(
        kept, a["c_p1"], assignment.foreground_obs, a["c_model"], chunk=16
    )
    item, best = torch.arange(len(scores), device=scores.device), scores.argmax(1)
    report.compare(name, "c_R", kept.rotation[item, best], a["c_R"], SOLVER)
    report.compare(name, "c_t", kept.translation[item, best], a["c_t"], SOLVER)
    empty = pose_solver.assign(a["c_empty_atten"])
    uniforms = a["c_u"][:1]
    index = pose_solver.draw_matches(pose_solver.sampling_distribution(empty), uniforms)
    report.compare(name, "c_empty_idx", index, a["c_empty_idx"], 0)
    drawn = pose_solver.hypothesise(index, a["c_p1"][:1], a["c_p2"][:1])
    identity = torch.eye(3).to(drawn.rotation).expand_as(drawn.rotation)
    report.compare(
        name, "c_empty_R (rotation?)", drawn.rotation @ drawn.rotation.mT, identity, SOLVER
    )


def singular_ratio(matches: Tensor, points_obs: Tensor, points_obj: Tensor) -> Tensor:
    """(B, H) second over first singular value of each triple's covariance: 0 = not unique."""
    batch, columns = len(matches), points_obj.shape[1]
    row = (matches // columns).clamp_max(points_obs.shape[1] - 1)
    pairs = ((points_obs, row), (points_obj, matches % columns))
    observed, model = (
        p.expand(batch, -1, -1).gather(1, i[..., None].expand(-1, -1, 3)).unflatten(1, (-1, 3))
        for p, i in pairs
    )
    centred = [t - t.mean(2, keepdim=True) for t in (model, observed)]
    values = torch.linalg.svdvals(centred[0].mT @ centred[1] / 3)
    return values[..., 1] / values[..., 0].clamp_min(1e-20)


def check_fine_solver(a: dict[str, Tensor], name: str, report: Report) -> None:
    """Weights, targets, pose and score; and the case without any match."""
    fine = pose_solver.solve_fine(
        pose_solver.assign(a["c_atten"]), a["c_p1"], a["c_p2"], a["c_model"]
    )
    report.compare(name, "f_pred_pts", fine.targets, a["f_pred_pts"], SOLVER)
    report.compare(name, "f_weight", fine.weights, a["f_weight"], SOLVER)
    report.compare(name, "f_R", fine.rotation, a["f_R"], 1e-3)
    report.compare(name, "f_t", fine.translation, a["f_t"], 1e-4)
    report.compare(name, "f_score", fine.score, a["f_score"], 2e-3)
    none = pose_solver.assign(a["c_empty_atten"])
    fine = pose_solver.solve_fine(none, a["c_p1"][:1], a["c_p2"][:1], a["c_model"][:1])
    report.compare(name, "f_empty_t", fine.translation, a["f_empty_t"], SOLVER)
    report.compare(name, "f_empty_score", fine.score, a["f_empty_score"], 0)
    identity = fine.rotation @ fine.rotation.mT
    report.compare(
        name, "f_empty_R (rotation?)", identity, torch.eye(3)[None], SOLVER, "not unique"
    )
