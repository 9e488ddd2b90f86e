"""Golden checks of whole cases of the pose network: templates, complete forward, matching alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from golden_pem import Arrays, missing, recorded, tensor
from golden_reference import Reference, on_device
from golden_report import Report, max_error, to_numpy
from golden_solver import singular_ratio
from torch import Tensor

from sam6d_ros.models import pose_solver
from sam6d_ros.models.pem import ObjectCode, Observation
from sam6d_ros.models.point_ops import furthest_point_sampling, gather_rows

FLIPS = 3  # points whose neighbours may differ
VIEWS_AT_ONCE = 6


@lru_cache(maxsize=2)
def template_cloud(ref: Reference, case: str) -> tuple[Tensor, Tensor, Tensor]:
    """Indices, points and features of the template cloud of a case, from its own files."""
    a = ref.arrays(f"{case}_templates")
    bgr = on_device(ref.tiles(f"{case}_templates_rgb")[: len(a["tem_choose"]), ..., ::-1].copy())
    choose = tensor(a["tem_choose"])
    extract = ref.pem.feature_extraction
    features = torch.cat(
        [
            extract(bgr[i : i + VIEWS_AT_ONCE], choose[i : i + VIEWS_AT_ONCE]).flatten(0, 1)
            for i in range(0, len(choose), VIEWS_AT_ONCE)
        ]
    )
    points = on_device(a["tem_xyz_mm_f16"].astype(np.float32).reshape(-1, 3) / np.float32(1000))
    index = furthest_point_sampling(points[None], ref.pem.config.dense_points)
    return index, gather_rows(points[None], index), gather_rows(features[None], index)


def check_templates(ref: Reference, name: str, report: Report) -> None:
    """Template features and the choice of 2048 points."""
    a = ref.arrays(name)
    index, points, features = template_cloud(ref, name.removesuffix("_templates"))
    views = np.floor(42 / int(a["n_template_view"]) * np.arange(int(a["n_template_view"])))
    report.compare(name, "tem_file_index", views, a["tem_file_index"], 0)
    report.compare(name, "fps_idx", index[0], a["fps_idx"], 0)
    report.compare(name, "dense_po_rows", points[0, ::32], a["dense_po_rows"], 1e-7)
    report.compare(name, "dense_fo_rows", features[0, ::32], a["dense_fo_rows"], 1e-4)
    report.compare(
        name,
        "dense_fo_channel_mean",
        features[0].double().mean(0),
        a["dense_fo_channel_mean"],
        1e-4,
    )
    spread = features[0].double().std(0, unbiased=False)
    golden = a["dense_fo_channel_std"]
    if max_error(spread, golden) > 1e-4:  # the file does not state which estimator it used
        spread = features[0].double().std(0)
    report.compare(name, "dense_fo_channel_std", spread, golden, 1e-4)
    report.compare(name, "radius", points.norm(dim=2).amax(1), a["radius"], 1e-6)


@dataclass
class Case:
    """One full case: our codes of both sides beside the golden outputs."""

    name: str
    ref: Reference
    report: Report
    golden: Arrays
    obs: Observation
    obj: ObjectCode
    uniforms: Tensor
    matches: Tensor
    flips: int = 0

    def compare(self, array: str, ours: object, tolerance: float, note: str = "") -> None:
        self.report.compare(
            self.name, f"out_{array}", ours, self.golden[f"out_{array}"], tolerance, note
        )


def check_forward(ref: Reference, name: str, report: Report) -> None:
    """A complete forward from crops and template files."""
    a = ref.arrays(name)
    _, points_o, features_o = template_cloud(ref, name.removesuffix("_forward"))
    obj = ref.pem.encode_object(points_o, features_o, tensor(a["model"][:1]))
    features = ref.pem.feature_extraction(tensor(a["rgb_u8"]), tensor(a["rgb_choose"]))
    obs = ref.pem.encode_observation(tensor(a["pts"]), features, obj.radius)
    case = Case(name, ref, report, a, obs, obj, tensor(a["u"]), tensor(a["sample_idx"]))
    case.compare("radius", obj.radius.expand(len(features)), 1e-6)
    case.compare("fm_rows", features[:, ::32], 1e-4)
    case.compare("sparse_fm_rows", gather_rows(features, obs.sparse)[:, ::8], 1e-4)
    case.compare("sparse_fo_rows", gather_rows(obj.features, obj.sparse)[:, ::8], 1e-4)
    check_matching_stages(case)


def check_matching(ref: Reference, name: str, report: Report) -> None:
    """Matching from supplied features (file ``…_matching_in`` beside ``…_matching_out``)."""
    given = ref.arrays(name.replace("_out", "_in"))
    golden = ref.arrays(name.replace("_in", "_out"))
    scale = np.float32(round(1 / float(given["feature_scale"])))  # the file divides by 24
    fm, fo = (on_device(given[f"dense_f{s}_i8"].astype(np.float32) / scale) for s in "mo")
    radius = tensor(given["radius"])
    # these clouds come in units of the radius, the model points in metres
    points = [tensor(given[f"dense_p{s}"]) for s in "mo"]
    model = tensor(given["model"]) / (radius + 1e-6)
    obj = ref.pem.code_object(points[1], fo, model, radius)
    obs = ref.pem.code_observation(points[0], fm)
    uniforms, matches = tensor(given["u"]), tensor(given["sample_idx"])
    check_matching_stages(
        Case(name.replace("_in", "_out"), ref, report, golden, obs, obj, uniforms, matches)
    )


def check_matching_stages(case: Case) -> None:
    """Everything after the features."""
    case.compare("fps_m", case.obs.sparse, 0)
    case.compare("fps_o", case.obj.sparse.expand(*case.golden["out_fps_o"].shape), 0)
    check_geometry(case)
    check_coarse(case)
    check_fine(case)


def check_geometry(case: Case) -> None:
    """Neighbours and pairwise embeddings; a flipped neighbour may change its whole row."""
    g, net = case.golden, case.ref.pem.geo_embedding
    rows, cols = g["out_geo_pairs"].astype(int).T
    for side, code in (("m", case.obs), ("o", case.obj)):
        points = gather_rows(code.points, code.sparse)
        prefixed = torch.cat([points.new_full((len(points), 1, 3), 100.0), points], 1)
        knn, distance, _ = net.indices(prefixed)
        flipped = (np.sort(to_numpy(knn)) != np.sort(g[f"out_knn_{side}"])).any(-1)
        case.flips += int(flipped.sum())
        case.report.add(
            case.name, f"out_knn_{side} (points)", flipped.sum(), FLIPS, "neighbour sets differ"
        )
        error = np.abs(to_numpy(code.pairs)[:, rows, cols] - g[f"out_geo_{side}"]).max(-1)
        near = (to_numpy(distance)[:, rows, cols] * 0.2 < 0.05) & ~flipped[:, rows]
        far = ~near & ~flipped[:, rows]
        case.report.add(case.name, f"out_geo_{side}[near]", error[near].max(initial=0), 2e-2)
        case.report.add(case.name, f"out_geo_{side}[far]", error[far].max(initial=0), 1e-3)


def check_coarse(case: Case) -> None:
    """Coarse features, logits, hypotheses and initial pose."""
    g, model = case.golden, case.ref.pem
    token = g["out_coarse_tok"].astype(int)
    limit = 1e-3 if case.flips == 0 else 0.1
    blocks = {f"b{i}": block for i, block in enumerate(model.coarse_point_matching.transformers)}
    with recorded(**blocks) as calls:
        logits = model.coarse_logits(case.obs, case.obj)
    for slot, array in ((0, "coarse_f1"), (1, "coarse_f2")):
        ours = torch.stack([calls[f"b{i}"][0][1][slot][:, token] for i in range(3)], 1)
        case.compare(array, ours, limit)
    case.compare("coarse_atten", logits, limit)
    assignment = pose_solver.assign(logits)
    case.compare("coarse_fg1", assignment.label_obs > 0, 0 if case.flips == 0 else 1)
    case.compare("coarse_fg2", assignment.label_obj > 0, 0 if case.flips == 0 else 1)
    own = pose_solver.draw_matches(pose_solver.sampling_distribution(assignment), case.uniforms)
    differ = (own != case.matches).float().mean()
    case.report.add(
        case.name, "sample_idx (fraction)", differ, 0.08, "own draws from the same uniforms"
    )
    coarse = model.coarse_pose(logits, case.obs, case.obj, matches=case.matches)
    check_hypotheses(case, coarse.numbers, coarse.hypotheses.residual, coarse.scores)
    case.compare("init_R", coarse.rotation, 1e-4)
    case.compare("init_t", coarse.translation, 1e-4)


def check_hypotheses(case: Case, numbers: Tensor, residual: Tensor, scores: Tensor) -> None:
    """Kept hypotheses by number; scores only where the pose of the triple is unique."""
    g = case.golden
    case.report.add(
        case.name,
        "out_hyp_id (missing)",
        missing(numbers, g["out_hyp_id"]),
        0.02,
        "fraction of the kept",
    )
    best = np.take_along_axis(to_numpy(numbers), to_numpy(scores.argmax(1))[:, None], 1)[:, 0]
    case.report.compare(case.name, "out_hyp_best_id", best, g["out_hyp_best_id"], 0)
    points = [gather_rows(code.points, code.sparse) for code in (case.obs, case.obj)]
    ratio = singular_ratio(case.matches, *points).gather(1, tensor(g["out_hyp_id"]))
    case.compare("hyp_sv_ratio", ratio, 1e-3)
    worst = {"residual": 0.0, "score": 0.0}
    for item, golden_ids in enumerate(g["out_hyp_id"]):
        ids = to_numpy(numbers[item])
        both = np.isin(golden_ids, ids)
        place = np.array([np.flatnonzero(ids == k)[0] for k in golden_ids[both]], int)
        for key, ours in (("residual", residual), ("score", scores)):
            error = np.abs(to_numpy(ours[item])[place] - g[f"out_hyp_{key}"][item][both])
            if key == "score":
                error = error[g["out_hyp_sv_ratio"][item][both] > 1e-2]
            worst[key] = max(worst[key], float(error.max(initial=0)))
    case.report.add(case.name, "out_hyp_residual", worst["residual"], 1e-4)
    case.report.add(case.name, "out_hyp_score", worst["score"], 1e-3, "unique poses")


def check_fine(case: Case) -> None:
    """Fine stage from the golden initial pose."""
    g, model = case.golden, case.ref.pem
    token, limit = g["out_fine_tok"].astype(int), 1e-3 if case.flips == 0 else 3e-2
    net = model.fine_point_matching
    blocks = {f"b{i}": block for i, block in enumerate(net.transformers)}
    rotation, translation = tensor(g["out_init_R"]), tensor(g["out_init_t"])
    with recorded(pe=net.PE, **blocks) as calls:
        logits = model.fine_logits(case.obs, case.obj, rotation, translation)
        net.PE(case.obj.points)
    # rows 1… of the tokens are points, so token k is row k − 1 of the encoding
    rows = token[token > 0] - 1
    case.compare("pe_m", calls["pe"][0][1][:, rows], 1e-4)
    case.compare("pe_o", calls["pe"][1][1][:, rows], 1e-4)
    for slot, array in ((0, "fine_f1"), (1, "fine_f2")):
        ours = torch.stack([calls[f"b{i}"][0][1][slot][:, token] for i in range(3)], 1)
        case.compare(array, ours, limit)
    sub = logits[:, g["out_fine_atten_rows"].astype(int)][
        :, :, g["out_fine_atten_cols"].astype(int)
    ]
    case.compare("fine_atten_sub", sub, limit)
    assignment = pose_solver.assign(logits)
    case.compare("fine_fg1", assignment.label_obs > 0, 0 if case.flips == 0 else 1)
    case.compare("fine_fg2", assignment.label_obj > 0, 0 if case.flips == 0 else 1)
    fine = model.fine_pose(logits, case.obs, case.obj)
    case.compare("fine_pred_pts", fine.targets, limit)
    case.compare("fine_weight", fine.weights, limit)
    translation = fine.translation * (case.obj.radius + 1e-6)[:, None]
    case.compare("pred_R", fine.rotation, 1e-3)
    case.compare("pred_t", translation, 1e-4, "metres")
    case.compare("pred_pose_score", fine.score, 2e-3)
    if "json_score" in g:
        score = fine.score * tensor(g["det_score"])
        case.report.compare(case.name, "json_score", score, g["json_score"], 2e-3)
        case.report.compare(case.name, "json_t_mm", translation * 1000, g["json_t_mm"], 0.1)
