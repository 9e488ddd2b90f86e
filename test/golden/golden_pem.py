"""Golden checks of single parts of the pose network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from golden_reference import Reference, current_device, on_device
from golden_report import Report, to_numpy
from torch import Tensor, nn

from sam6d_ros.models import point_ops, pose_solver
from sam6d_ros.models.geometric_embedding import with_background
from sam6d_ros.models.image_features import normalise, sample_upsampled
from sam6d_ros.models.pem import ObjectCode, Observation

FEATURES = 1e-4
LOGITS = 2e-3
SOLVER = 1e-4
Arrays = dict[str, np.ndarray]


@contextmanager
def recorded(**modules: nn.Module) -> Iterator[dict[str, list[tuple[tuple[Any, ...], Any]]]]:
    """Record (inputs, output) of every call of the named modules."""
    calls: dict[str, list[tuple[tuple[Any, ...], Any]]] = {name: [] for name in modules}
    hooks = [
        module.register_forward_hook(
            lambda _m, given, out, name=name: calls[name].append((given, out))
        )
        for name, module in modules.items()
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def tensor(value: np.ndarray) -> Tensor:
    """A tensor of the same values; integers become int64."""
    integral = value.dtype.kind in "iu" and value.dtype != np.uint8
    return on_device(value.astype(np.int64) if integral else np.ascontiguousarray(value))


def check_ops_points(ref: Reference, name: str, report: Report) -> None:
    """Point operators: exact indices."""
    a = ref.arrays(name)
    for key in (k for k in a if k.startswith("fps_") and k.endswith("_xyz")):
        golden = a[key.replace("_xyz", "_idx")]
        ours = point_ops.furthest_point_sampling(tensor(a[key]), golden.shape[1])
        report.compare(name, key.replace("_xyz", "_idx"), ours, golden, 0)
    xyz, queries = tensor(a["ball_xyz"]), tensor(a["ball_query_xyz"])
    for key in (k for k in a if k.startswith("ball_idx_")):
        radius, count = parse_radius(key)
        report.compare(name, key, point_ops.ball_query(queries, xyz, radius, count), a[key], 0)
    for key in (k for k in a if k.startswith("group_out_")):
        radius, count = parse_radius(key)
        centres = queries[:, : a[key].shape[2]].contiguous()
        index = point_ops.ball_query(centres, xyz, radius, count)
        groups = point_ops.group(xyz, centres, index).permute(0, 3, 1, 2)
        report.compare(name, key, groups, a[key], 1e-6)


def parse_radius(key: str) -> tuple[float, int]:
    """Radius and count of a key such as ``ball_idx_r0.1_n32``."""
    radius, count = key.rsplit("_", 2)[1:]
    return float(radius[1:]), int(count[1:])


def check_vit(ref: Reference, name: str, report: Report) -> None:
    """Tokens, taps and feature map of the image encoder."""
    a, net = ref.arrays(name), ref.pem.feature_extraction.rgb_net
    vit, tokens = net.vit, tensor(a["tokens"])
    images = normalise(tensor(a["rgb_u8"]))
    with recorded(block0=vit.blocks[0]) as calls:
        taps = vit(images, net.taps)
    report.compare(
        name, "embed_tokens", calls["block0"][0][0][0][:, tokens], a["embed_tokens"], FEATURES
    )
    report.compare(
        name, "block0_tokens", calls["block0"][0][1][:, tokens], a["block0_tokens"], FEATURES
    )
    report.compare(
        name, "tap_tokens", torch.stack(taps, 1)[:, :, tokens], a["tap_tokens"], FEATURES
    )
    report.compare(name, "cls_last", taps[-1][:, 0], a["cls_last"], FEATURES)
    low, ij = net(images), tensor(a["low_ij"])
    report.compare(name, "low_feat", low[:, :, ij[:, 0], ij[:, 1]].mT, a["low_feat"], FEATURES)
    row, column = tensor(a["full_ij"]).unbind(-1)  # CUDA has no product of integers
    full = row * 224 + column
    sampled = sample_upsampled(low, full.expand(len(low), -1))
    report.compare(name, "full_feat", sampled, a["full_feat"], FEATURES)


def check_geo_embedding(ref: Reference, name: str, report: Report) -> None:
    """Neighbours, distances, angles and codes."""
    a, net = ref.arrays(name), ref.pem.geo_embedding
    for key in sorted(k[:-7] for k in a if k.endswith("_points")):
        points = tensor(a[f"{key}_points"])
        knn, distance, angle = net.indices(points)
        report.compare(name, f"{key}_knn", knn, a[f"{key}_knn"], 0)
        # near pairs carry the cancellation error of the distance formula
        near = a[f"{key}_d_index"] * 0.2 < 0.05
        compare_split(
            report, name, f"{key}_d_index", distance, a[f"{key}_d_index"], near, (2e-2, 1e-3)
        )
        report.compare(name, f"{key}_a_index", angle, a[f"{key}_a_index"], 1e-3)
        compare_split(
            report, name, f"{key}_embedding", net(points), a[f"{key}_embedding"], near, (2e-2, 1e-3)
        )
    report.compare(name, "sin_out", net.embedding(tensor(a["sin_in"])), a["sin_out"], 1e-4)


def compare_split(
    report: Report,
    name: str,
    array: str,
    ours: Tensor,
    golden: np.ndarray,
    near: np.ndarray,
    tolerances: tuple[float, float],
) -> None:
    """Compare near pairs and the others, each against its own tolerance."""
    values = to_numpy(ours)
    report.compare(name, f"{array}[near]", values[near], golden[near], tolerances[0])
    report.compare(name, f"{array}[far]", values[~near], golden[~near], tolerances[1])


def missing(ours: Tensor, golden: Tensor | np.ndarray) -> float:
    """Fraction of golden numbers that ours lack, worst row."""
    a, b = to_numpy(ours), to_numpy(golden)
    return max(1 - np.isin(g, o).mean() for o, g in zip(a, b, strict=True))


def check_small_coarse(ref: Reference, name: str, report: Report) -> None:
    """The coarse stage on few points, layer by layer."""
    a, model = {k: tensor(v) for k, v in ref.arrays(name).items()}, ref.pem
    net = model.coarse_point_matching
    pairs_m = model.geo_embedding(with_background(a["pm"]))
    pairs_o = model.geo_embedding(with_background(a["po"]))
    report.compare(name, "geo_m_rows0_1", pairs_m[:, :2], a["geo_m_rows0_1"], 1e-3)
    report.compare(name, "geo_o_rows0_1", pairs_o[:, :2], a["geo_o_rows0_1"], 1e-3)
    parts = {
        f"b{i}_{kind}": net.transformers[i].layers[j]
        for i in (0, 2)
        for j, kind in enumerate(("self", "cross"))
    }
    with recorded(in_proj=net.in_proj, out_proj=net.out_proj, **parts) as calls:
        logits = net(a["fm"], pairs_m, a["fo"], pairs_o)
    for slot, side in enumerate("mo"):
        report.compare(name, f"in_{side}", calls["in_proj"][slot][1], a[f"in_{side}"], LOGITS)
        report.compare(
            name, f"out_feat_{side}", calls["out_proj"][slot][1], a[f"out_feat_{side}"], LOGITS
        )
        for part in parts:
            report.compare(
                name, f"{part}_{side}", calls[part][slot][1], a[f"{part}_{side}"], LOGITS
            )
    for kind in ("self", "cross"):
        given = calls[f"b0_{kind}"][0][0]
        maps = parts[f"b0_{kind}"].attention.attention.weights(*given, *(None,) * (3 - len(given)))
        report.compare(name, f"b0_{kind}_m_attn", maps, a[f"b0_{kind}_m_attn"], LOGITS)
    report.compare(name, "atten", logits, a["atten"], LOGITS)
    obs, obj = small_codes(a, pairs_m, pairs_o)
    assignment = pose_solver.assign(logits)
    report.compare(name, "label_m", assignment.label_obs, a["label_m"], 0)
    report.compare(name, "label_o", assignment.label_obj, a["label_o"], 0)
    drawn = pose_solver.draw_matches(pose_solver.sampling_distribution(assignment), a["u"])
    differ = (drawn != a["sample_idx"]).float().mean()
    report.add(name, "sample_idx (fraction)", differ, 0.08, "own draws from the same uniforms")
    coarse = model.coarse_pose(logits, obs, obj, matches=a["sample_idx"])
    report.compare(name, "init_R", coarse.rotation, a["init_R"], SOLVER)
    report.compare(name, "init_t", coarse.translation, a["init_t"], SOLVER)


def small_codes(
    a: dict[str, Tensor],
    pairs_m: Tensor,
    pairs_o: Tensor,
    sparse: tuple[Tensor, Tensor] | None = None,
) -> tuple[Observation, ObjectCode]:
    """Both sides of a small case; every point is sparse unless ``sparse`` names others."""
    every = tuple(torch.arange(a[p].shape[1], device=current_device())[None] for p in ("pm", "po"))
    index_m, index_o = sparse or every
    obs = Observation(a["pm"], a["fm"], index_m, pairs_m)
    tokens = torch.zeros(1, 0, 256, device=current_device())
    model = a["model"] / (a["radius"] + 1e-6)  # metres → units of the radius, as the clouds are
    obj = ObjectCode(a["radius"], a["po"], a["fo"], model, index_o, pairs_o, tokens)
    return obs, obj


def check_small_fine(ref: Reference, name: str, report: Report) -> None:
    """The fine stage on few points, layer by layer."""
    a, model = {k: tensor(v) for k, v in ref.arrays(name).items()}, ref.pem
    net = model.fine_point_matching
    sparse = [point_ops.furthest_point_sampling(a[f"p{s}"], a[f"fps_{s}"].shape[1]) for s in "mo"]
    report.compare(name, "fps_m", sparse[0], a["fps_m"], 0)
    report.compare(name, "fps_o", sparse[1], a["fps_o"], 0)
    pairs = [
        model.geo_embedding(with_background(point_ops.gather_rows(a[f"p{s}"], i)))
        for s, i in zip("mo", sparse, strict=True)
    ]
    obs, obj = small_codes(a, *pairs, sparse=(sparse[0], sparse[1]))
    watched: dict[str, nn.Module] = {"pe": net.PE, "in_proj": net.in_proj, "out_proj": net.out_proj}
    watched |= {"group1": net.PE.mlp1, "group2": net.PE.mlp2}
    watched |= {f"b{i}_sparse": net.transformers[i].sparse_layer for i in (0, 2)}
    watched |= {f"b{i}_dense": net.transformers[i].dense_layer for i in (0, 2)}
    watched["b0_linear_attention"] = net.transformers[0].dense_layer.attention.attention
    with recorded(**watched) as calls:
        # the observation's encoding first, as the golden order has it
        moved = pose_solver.to_object(a["pm"], a["init_R"], a["init_t"])
        tokens_m = net.tokens(a["fm"], moved)
        tokens_o = net.tokens(a["fo"], a["po"])
        logits = net(tokens_m, pairs[0], sparse[0], tokens_o, pairs[1], sparse[1])
    compare_fine_layers(report, name, a, calls)
    report.compare(name, "atten", logits, a["atten"], LOGITS)
    assignment = pose_solver.assign(logits)
    report.compare(name, "label_m", assignment.label_obs, a["label_m"], 0)
    report.compare(name, "label_o", assignment.label_obj, a["label_o"], 0)
    fine = model.fine_pose(logits, obs, obj)
    scale = (a["radius"] + 1e-6)[:, None]
    report.compare(name, "pred_R", fine.rotation, a["pred_R"], 1e-3)
    report.compare(name, "pred_t", fine.translation * scale, a["pred_t"], 1e-4)
    report.compare(name, "pred_pose_score", fine.score, a["pred_pose_score"], 2e-3)


def compare_fine_layers(
    report: Report,
    name: str,
    a: dict[str, Tensor],
    calls: dict[str, list[tuple[tuple[Any, ...], Any]]],
) -> None:
    """Every third row of each wide array."""
    for k in (1, 2):
        # the network goes through the points in pieces, the observed cloud first
        groups = torch.cat([result for _, result in calls[f"group{k}"]], dim=1)
        pooled = groups[:, : a["pm"].shape[1]].amax(-2).mT[..., ::3]
        report.compare(name, f"pe_group{k}_m", pooled, a[f"pe_group{k}_m"], LOGITS)
    for slot, side in enumerate("mo"):
        ours = {"pe": calls["pe"][slot][1], "in": calls["in_proj"][slot][1]}
        ours["b0_linear_attention"] = calls["b0_linear_attention"][slot][1]
        for i in (0, 2):
            ours[f"b{i}_dense"] = calls[f"b{i}_dense"][slot][1]
            sparse = calls[f"b{i}_sparse"][0][1][slot]
            report.compare(name, f"b{i}_sparse_{side}", sparse, a[f"b{i}_sparse_{side}"], LOGITS)
        ours["out_feat"] = calls["out_proj"][slot][1]
        for part, values in ours.items():
            report.compare(name, f"{part}_{side}", values[:, ::3], a[f"{part}_{side}"], LOGITS)
