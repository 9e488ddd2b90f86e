"""Golden checks of descriptors, crops and scores of the segmentation stage."""

from __future__ import annotations

import numpy as np
import torch
from golden_pem import Arrays, recorded, tensor
from golden_reference import Reference, current_device, on_device
from golden_report import Report

from sam6d_ros.geometry import rle
from sam6d_ros.models import crop, ism_scores
from sam6d_ros.models.image_features import normalise
from sam6d_ros.models.suppression import suppress_per_object

SCORES = 1e-5


def check_dinov2(ref: Reference, name: str, report: Report) -> None:
    """Tokens and descriptors of DINOv2."""
    a = ref.arrays(name)
    rgb = on_device(dino_inputs(ref)[..., ::-1].copy())
    images = torch.cat([normalise(rgb[:1]), rgb[1:].permute(0, 3, 1, 2).float() / 255.0])
    vit, rows = ref.dino.vit, tensor(a["patch_positions"]) + 1
    report.compare(
        name, "out_pos_embed_rows", vit.positions(16, 16)[0, rows], a["out_pos_embed_rows"], 1e-5
    )
    with recorded(block0=vit.blocks[0]) as calls:
        classes, patches = ref.dino(images)
    token = torch.cat([rows.new_zeros(1), rows])
    (given,), out = calls["block0"][0]
    report.compare(name, "out_embed_rows", given[:, token], a["out_embed_rows"], 1e-4)
    report.compare(name, "out_block0_rows", out[:, token], a["out_block0_rows"], 1e-4)
    report.compare(name, "out_cls", classes, a["out_cls"], 1e-4)
    report.compare(name, "out_patch", patches[:, rows - 1], a["out_patch"], 1e-4)


def dino_inputs(ref: Reference) -> np.ndarray:
    """(2, 224, 224, 3) uint8 BGR inputs: those of pem_vit.npz, here or in the public folder."""
    for place in (ref.folder, ref.tools / "public"):
        if (place / "pem_vit.npz").is_file():
            return Reference(place, ref.tools).arrays("pem_vit")["rgb_u8"]
    raise LookupError("pem_vit.npz, which holds the inputs, is missing beside this file")


def unpack_masks(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bool masks of this shape from rows of packed bits."""
    count = int(np.prod(shape[1:]))
    return np.unpackbits(packed, axis=1)[:, :count].reshape(shape) > 0


def check_crops(ref: Reference, name: str, report: Report) -> None:
    """Which source pixel lands where; resized sides; patch validity."""
    a = ref.arrays(name)
    height, width = (int(n) for n in a["image_hw"])
    device = current_device()
    identity = torch.arange(1, height * width + 1, device=device).reshape(1, height, width)
    crops = crop.take_crops(identity, *(m.to(device) for m in crop.crop_maps(a["boxes"])))
    report.compare(name, "out_source_id", crops[:, 0], a["out_source_id"], 0)
    sides = [
        crop.resized_length(int(s), np.float32(np.float32(1.0 / int(s)) * np.float32(224)))
        for s in a["side"]
    ]
    report.compare(name, "resized_side", sides, a["resized_side"], 0)
    masks = on_device(unpack_masks(a["valid_masks_packed"], (len(a["valid_mean"]), 224, 224)))
    report.compare(name, "valid_mean", crop.patch_means(masks), a["valid_mean"], 1e-6)
    report.compare(name, "valid", crop.valid_patches(masks), a["valid"], 0)


def check_query(ref: Reference, name: str, report: Report) -> None:
    """Normalised, masked crops of proposals."""
    a = ref.arrays(name)
    image, masks = normalise(on_device(a["image"])[None])[0], on_device(a["masks"])
    rows, cols = (maps.to(current_device()) for maps in crop.crop_maps(a["boxes"]))
    crops = crop.take_crops(image, rows, cols) * crop.take_mask_crops(masks, rows, cols)[:, None]
    y, x = a["sample_yx"].T
    report.compare(name, "out_samples", crops[:, :, y, x], a["out_samples"], 1e-6)
    sums = crops.double().sum((-1, -2))
    report.compare(
        name, "out_sum", sums / crops[0, 0].numel(), a["out_sum"] / crops[0, 0].numel(), 1e-6
    )


def check_rle(ref: Reference, name: str, report: Report) -> None:
    """Run lengths, and back."""
    a = ref.arrays(name)
    coded = rle.encode_runs(a["mask"])
    report.compare(name, "counts", coded["counts"], a["counts"], 0)
    report.compare(name, "size", coded["size"], a["size"], 0)
    report.compare(name, "mask (decoded)", rle.decode(coded), a["mask"], 0)


def check_scores(ref: Reference, name: str, report: Report) -> None:
    """All scores of one set of proposals, in pipeline order."""
    a = ref.arrays(name)
    d = ref.ism_inputs.make(int(a["seed"]), int(a["n_prop"]), int(a["n_obj"]))
    for key in ("qry_cls", "ref_cls", "qry_patch", "ref_patch"):
        flat = d[key].astype(np.float64).ravel()
        ours = [flat.sum(), np.abs(flat).sum(), flat[0], flat[-1]]
        # relative to the size of the sum: an input check, not a result
        scale = max(1.0, float(np.abs(a[f"check_{key}"]).max()))
        report.compare(
            name, f"check_{key}", np.array(ours) / scale, a[f"check_{key}"] / scale, 1e-6
        )
    match = ism_scores.semantic_match(on_device(d["qry_cls"]), on_device(d["ref_cls"]))
    report.compare(name, "out_cosine", match.similarity, a["out_cosine"], SCORES)
    selected = torch.nonzero(match.score > ism_scores.SEMANTIC_THRESHOLD)[:, 0]
    match = match.at(selected)
    report.compare(name, "out_selected", selected, a["out_selected"], 0)
    report.compare(name, "out_object_index", match.object_index, a["out_object_index"], 0)
    report.compare(name, "out_semantic_score", match.score, a["out_semantic_score"], SCORES)
    report.compare(name, "out_best_template", match.template, a["out_best_template"], 0)
    masks = on_device(unpack_masks(a["masks_packed"], tuple(a["mask_shape"].tolist())))
    query = on_device(d["qry_patch"])[selected]
    reference = on_device(d["ref_patch"])[match.object_index, match.template]
    appearance, visible = ism_scores.appearance_scores(query, reference)
    report.compare(name, "out_appearance_score", appearance, a["out_appearance_score"], SCORES)
    report.compare(name, "out_visible_ratio", visible, a["out_visible_ratio"], SCORES)
    boxes = tensor(a["boxes"])
    geometric = check_geometry(report, name, a, (masks[selected], boxes[selected]), match)
    final = ism_scores.final_scores(match.score, appearance, geometric, visible)
    report.compare(name, "out_final_score", final, a["out_final_score"], SCORES)
    keep = suppress_per_object(boxes[selected], final, match.object_index)
    report.compare(name, "out_nms_keep_order", keep, a["out_nms_keep_order"], 0)
    pixels = masks.flatten(1).sum(-1)
    large = ism_scores.large_enough(boxes, pixels, masks[0].numel())
    small = torch.nonzero(large)[:, 0]
    report.compare(name, "out_small_filter_keep", small, a["out_small_filter_keep"], 0)


def check_geometry(
    report: Report,
    name: str,
    a: Arrays,
    regions: tuple[torch.Tensor, torch.Tensor],
    match: ism_scores.SemanticMatch,
) -> torch.Tensor:
    """Mean position, projection and geometric score of masks and their boxes."""
    masks, boxes = regions
    camera = on_device(a["cam_K"])
    depth = on_device(a["depth"] * float(a["depth_scale"]) / 1000.0)
    position = ism_scores.mean_positions(masks, depth, camera).float()
    report.compare(name, "out_translation", position, a["out_translation"], SCORES)
    rotations = on_device(a["template_poses"][:, :3, :3])[match.template]
    points = on_device(a["pointcloud"])[match.object_index]
    size = tuple(a["mask_shape"][1:].tolist())
    pixels = ism_scores.project_to_pixels(points, rotations, position, camera.float(), size)
    report.compare(name, "out_image_uv_first64", pixels[:, :64], a["out_image_uv_first64"], 1)
    report.compare(name, "out_uv_min", pixels.amin(1), a["out_uv_min"], 1)
    report.compare(name, "out_uv_max", pixels.amax(1), a["out_uv_max"], 1)
    geometric = ism_scores.geometric_scores(pixels, boxes, legacy=True)
    golden = np.broadcast_to(
        a["out_geometric_score"], geometric.shape
    )  # the scalar 0 stands for all
    report.compare(name, "out_geometric_score", geometric, golden, SCORES)
    return geometric
