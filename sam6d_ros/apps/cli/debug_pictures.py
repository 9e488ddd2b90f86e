"""The debug folder: pictures in the order in which a wrong pose is best traced back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sam6d_ros import visualize
from sam6d_ros.apps.cli.output import pose_text, write_png
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.detectors.draw import draw_boxes
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.pipeline import Record
from sam6d_ros.types import Candidates, Frame, PoseEstimate, PoseEstimates

TILE_PIXELS, TILES_PER_OBJECT, COLUMNS = 240, 8, 4

INDEX = """\
# Why is this pose wrong?

Read in this order; the first picture that is wrong names the stage to blame.

0. **boxes.png** – boxes of the 2D detector, if one was used. Is your object in a box of one of its
   detector_classes? Objects are searched nowhere else.
1. **proposals.png** – regions that may be one object each. Is yours one region? If it is
   torn apart or merged with its support, look at the depth image there.
2. **detections.png** – regions by name and score. Is yours named rightly? If not, compare the
   CAD model's size, unit and colours with the image (`sam6d onboard`).
3. **candidates.png** – the best pose hypotheses of each object, not yet verified, best first.
   Is the right pose among them? If not, the object is seen too little or from a flat side.
4. **depth_N_NAME.png** – for each result, the image and measured minus rendered depth: green agrees
   (±{range_mm:.0f} mm is full colour), blue is measured nearer (something stands in front, or
   the pose is too far), red is measured farther (the model claims a surface that is not there),
   black has no measurement.
"""


def write_debug(
    folder: Path,
    frame: Frame,
    record: Record,
    poses: PoseEstimates,
    models: Mapping[str, ObjectModel],
) -> None:
    """Write the pictures and index.md into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):  # of an earlier run: they would mislead
        old.unlink()
    write_stages(folder, frame, record)
    tiles = candidate_tiles(frame, hypotheses(record.candidates), models)
    if tiles:
        write_png(folder / "candidates.png", visualize.montage(tiles, COLUMNS))
    for index, pose in enumerate(poses.items):
        tiles = residual_tiles(frame, pose, models[pose.class_id])
        if tiles:
            name = f"depth_{index}_{file_name(pose.class_id)}.png"
            write_png(folder / name, visualize.montage(tiles, COLUMNS))
    (folder / "index.md").write_text(index_text(record, poses))


def write_stages(folder: Path, frame: Frame, record: Record) -> None:
    """Write boxes.png, proposals.png and detections.png, of those stages that ran."""
    if record.boxes is not None:
        write_png(folder / "boxes.png", draw_boxes(frame.rgb, record.boxes))
    if record.proposals is not None:
        labels = [f"{score:.2f}" for score in record.proposals.scores]
        picture = visualize.draw_masks(frame.rgb, list(record.proposals.masks), labels)
        write_png(folder / "proposals.png", picture)
    if record.detections is not None:
        found = record.detections.items
        labels = [f"{d.class_id} {d.score:.2f}" for d in found]
        write_png(
            folder / "detections.png",
            visualize.draw_masks(frame.rgb, [d.mask for d in found], labels),
        )


def hypotheses(candidates: Candidates | None) -> list[PoseEstimate]:
    """Return every hypothesis of every instance."""
    return [
        PoseEstimate(item.class_id, float(score), pose, instance_id=item.instance_id)
        for item in (candidates.items if candidates else ())
        for pose, score in zip(item.cam_from_obj, item.score, strict=True)
    ]


def candidate_tiles(
    frame: Frame, candidates: Sequence[PoseEstimate], models: Mapping[str, ObjectModel]
) -> list[visualize.Image]:
    """A close-up of each object's best hypotheses, whole rows per object."""
    tiles = []
    for name in dict.fromkeys(candidate.class_id for candidate in candidates):
        of_object = [c for c in candidates if c.class_id == name]
        best = sorted(of_object, key=lambda c: -c.score)[:TILES_PER_OBJECT]
        row = [tile for c in best if (tile := close_up(frame, c, models[name])) is not None]
        blank = [visualize.blank_tile(TILE_PIXELS)] * (-len(row) % COLUMNS)
        tiles += row + blank
    return tiles


def close_up(frame: Frame, pose: PoseEstimate, model: ObjectModel) -> visualize.Image | None:
    """The image around a hypothesis with its contour and axes; None when it is out of view."""
    roi = visualize.image_rectangle(frame.camera, pose, model, margin=0.25)
    if roi is None:
        return None
    drawn = visualize.draw_poses(
        frame.rgb, frame.camera, [pose], {model.name: model}, ("contour", "axes")
    )
    tile = visualize.crop_tile(drawn, roi, TILE_PIXELS)
    label = f"{model.name} {pose.score:.2f}"
    visualize.write(tile, label, (2, TILE_PIXELS - 6), visualize.color_of(model.name))
    return tile


def residual_tiles(frame: Frame, pose: PoseEstimate, model: ObjectModel) -> list[visualize.Image]:
    """Close-ups of one result side by side: the image, and the depth residual; none out of view."""
    roi = visualize.image_rectangle(frame.camera, pose, model, margin=0.25)
    if roi is None:
        return []
    residual = visualize.depth_residual(frame, pose, model)
    drawn = visualize.draw_poses(frame.rgb, frame.camera, [pose], {model.name: model}, ("contour",))
    return [visualize.crop_tile(image, roi, 2 * TILE_PIXELS) for image in (drawn, residual)]


def index_text(record: Record, poses: PoseEstimates) -> str:
    """Return the text of the index: pictures, poses and the time of each stage."""
    lines = [INDEX.format(range_mm=MM_PER_M * visualize.RESIDUAL_RANGE_M), "## Result", ""]
    lines += [result_line(index, pose) for index, pose in enumerate(poses.items)]
    if not len(poses):
        lines.append(f"Nothing found: {poses.reason}")
    stages = {"proposals": record.proposals, "detections": record.detections}
    counts = {name: len(value) for name, value in stages.items() if value is not None}
    if record.candidates is not None:
        counts["candidates"] = len(hypotheses(record.candidates))
    lines += ["", "## Stages", ""]
    lines += [f"* {count} {name}" for name, count in counts.items()]
    lines += [f"* {stage}: {seconds:.3f} s" for stage, seconds in poses.timings_s.items()]
    return "\n".join(lines) + "\n"


def result_line(index: int, pose: PoseEstimate) -> str:
    """One result: name, score and its parts, position."""
    parts = ", ".join(f"{name} {value:.2f}" for name, value in pose.agreement.items())
    x, y, z, _ = pose_text(pose)
    return (
        f"* {index}: **{pose.class_id}** score {pose.score:.2f} ({parts or 'no parts'}) "
        f"at ({x}, {y}, {z}) m – depth_{index}_{file_name(pose.class_id)}.png"
    )


def file_name(name: str) -> str:
    """A name without characters that a file may not have."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
