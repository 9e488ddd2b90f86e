"""Golden checks of what turns images into network inputs."""

from __future__ import annotations

import json

import numpy as np
from golden_pem import Arrays
from golden_reference import Reference
from golden_report import Report
from numpy.typing import NDArray

from sam6d_ros.geometry import rle
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.stages.sam6d import pem_inputs

GREY = 1.0  # level of an 8-bit resize


def check_tables(ref: Reference, name: str, report: Report) -> None:
    """Square boxes and the pixel map."""
    a = ref.arrays(name)
    boxes = []
    for height, width, row0, row1, col0, col1 in a["bbox_in"]:
        mask = np.zeros((height, width), bool)
        mask[row0:row1, col0:col1] = True
        boxes.append(pem_inputs.square_box(mask))
    report.compare(name, "bbox_out", boxes, a["bbox_out"], 0)
    maps = [
        pem_inputs.crop_to_input(flat, tuple(size))
        for flat, size in zip(a["choose_in"], a["choose_crop_hw"], strict=True)
    ]
    report.compare(name, "choose_out", maps, a["choose_out"], 0)


def scene(a: Arrays) -> tuple[np.ndarray, np.ndarray, CameraIntrinsics, np.ndarray]:
    """Full colour image, depth in metres, camera and the masks of a glue file."""
    height, width = (int(n) for n in a["img_hw"])
    y0, y1, x0, x1 = a["win_y0y1x0x1"]
    rgb, raw = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32)
    rgb[y0:y1, x0:x1], raw[y0:y1, x0:x1] = a["rgb_win"], a["depth_win"]
    depth = raw * float(a["depth_scale"]) / 1000.0
    camera = CameraIntrinsics.from_matrix(a["cam_K"], width, height)
    count = height * width
    masks = np.unpackbits(a["masks_packed"], axis=1)[:, :count].reshape(-1, height, width) > 0
    return rgb, depth, camera, masks


def check_glue(ref: Reference, name: str, report: Report) -> None:
    """Which detections survive, their boxes, clouds and crops; one template view."""
    a = ref.arrays(name)
    rgb, depth, camera, masks = scene(a)
    model = (a["model_mm"].astype(np.float32) / np.float32(1000)).astype(np.float32)
    radius = float(np.linalg.norm(model, axis=1).max())
    report.compare(name, "out_model", model, a["out_model"], 1e-7)
    report.compare(name, "out_model_radius", radius, a["out_model_radius"], 1e-7)
    report.compare(name, "rle0_counts", rle.encode_runs(masks[0])["counts"], a["rle0_counts"], 0)
    clouds = {
        k: pem_inputs.masked_cloud(depth, camera, masks[k], radius)
        for k in range(len(masks))
        if a["det_scores"][k] > float(a["det_score_thresh"])
    }
    kept = [k for k, cloud in clouds.items() if cloud is not None]
    report.compare(name, "out_kept", kept, a["out_kept"], 0)
    forward = name.replace("_glue", "_forward")
    golden_inputs = ref.arrays(forward) if ref.has(f"{forward}.npz") else None
    for rank, (suffix, k) in enumerate(zip(suffixes(a), kept, strict=True)):
        cloud = clouds[k]
        assert cloud is not None
        compare_cloud(report, name, a, suffix, cloud)
        visible = masks[k] & (depth > 0)
        made = pem_inputs.observation_input(rgb, visible, cloud, a[f"in_choose_idx_{suffix}"])
        if golden_inputs is not None:
            for array, ours, limit in (
                ("rgb_u8", made.bgr, GREY),
                ("rgb_choose", made.flat_index, 0.0),
                ("pts", made.points, 1e-6),
            ):
                report.compare(name, f"{array}[{rank}]", ours, golden_inputs[array][rank], limit)
    check_template_view(ref, name, a, report)


def suffixes(a: Arrays) -> list[str]:
    """Numbers in the keys of the surviving detections, in order."""
    return sorted((key.rsplit("_", 1)[1] for key in a if key.startswith("out_bbox_")), key=int)


def compare_cloud(
    report: Report, name: str, a: Arrays, suffix: str, cloud: pem_inputs.MaskedCloud
) -> None:
    """Box, counts and centre of one detection."""
    report.compare(name, f"out_bbox_{suffix}", cloud.box, a[f"out_bbox_{suffix}"], 0)
    for array, ours in (
        ("out_npix_mask", cloud.mask_pixels),
        ("out_npix_crop", cloud.crop_pixels),
        ("out_n_after_radius", len(cloud.points)),
        ("in_replace", len(cloud.points) <= pem_inputs.OBSERVED_POINTS),
    ):
        report.compare(name, f"{array}_{suffix}", ours, a[f"{array}_{suffix}"], 0)
    report.compare(name, f"out_center_{suffix}", cloud.centre, a[f"out_center_{suffix}"], 1e-6)


def pixels_in_box(mask: NDArray[np.bool_]) -> int:
    """Pixels of a template's mask inside its square box, which may cut some off."""
    top, bottom, left, right = pem_inputs.square_box(mask)
    return int(mask[top:bottom, left:right].sum())


def check_template_view(ref: Reference, name: str, a: Arrays, report: Report) -> None:
    """One rendered view: mask, box, crop, pixels and points."""
    mask = a["tem_mask"] == 255
    report.compare(name, "tem_n_mask", pixels_in_box(mask), a["tem_n_mask"], 0)
    report.compare(name, "tem_bbox", pem_inputs.square_box(mask), a["tem_bbox"], 0)
    xyz = a["tem_xyz_f16"].astype(np.float32) / np.float32(1000)
    made = pem_inputs.template_input(a["tem_rgb"], mask, xyz, a["tem_choose_idx"])
    case, view = name.removesuffix("_glue"), int(a["tem_view"])
    if ref.has(f"{case}_templates_rgb.png"):
        tile = ref.tiles(f"{case}_templates_rgb")[view][..., ::-1]
        report.compare(name, "tem_rgb (crop)", made.bgr, tile, GREY)
    if ref.has(f"{case}_templates.npz"):
        t = ref.arrays(f"{case}_templates")
        # the draws of the template file are sorted inside the view
        order = np.argsort(a["tem_choose_idx"], kind="stable")
        report.compare(name, "tem_choose", made.flat_index[order], t["tem_choose"][view], 0)
        golden = t["tem_xyz_mm_f16"][view].astype(np.float32) / np.float32(1000)
        report.compare(name, "tem_xyz", made.points[order], golden, 0)


def check_views(ref: Reference, name: str, report: Report) -> None:
    """Directions of the 42 template viewpoints."""
    from sam6d_ros.stages.sam6d.template_views import VIEW_ANGLES_DEG

    golden = json.loads((ref.folder / f"{name}.json").read_text())
    for column, key in enumerate(("elevation", "azimuth")):
        report.compare(name, key, np.array(VIEW_ANGLES_DEG)[:, column], golden[key], 1e-5)
