"""Files of a scanned object: mesh, objects file, report, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.cad.objects import write_objects_file
from sam6d_ros.cad.symmetry.words import in_words
from sam6d_ros.errors import InvalidInput
from sam6d_ros.json_text import json_text
from sam6d_ros.scan.build import Recorded, ScannedObject
from sam6d_ros.scan.report import pictures, report, residuals
from sam6d_ros.scan.symmetry import AUTO

Array = NDArray[np.float64]

RECORDINGS = "recordings"  # key of the report
SYMMETRY_NOTE = (
    "symmetries were detected on the scanned surface: check them, then leave, change or remove "
    "them (docs/objects.md)"
)


def content_of(
    scanned: ScannedObject,
    recordings: Sequence[Recorded],
    every: int = 1,
    symmetries: Symmetries | str = AUTO,
) -> dict[str, Any]:
    """Return the report of a scan as plain values for JSON.

    Args:
        scanned: the object.
        recordings: it was made of, one or two.
        every: the frames are every n-th of the recordings.
        symmetries: of the object, see ``find_symmetries``.

    Returns:
        Size, error, coverage and symmetries, and for each recording the poses that
        ``sam6d scan check`` needs.
    """
    places = (scanned.world_from_obj, scanned.second_from_obj)
    passes = [
        _pass(scanned.mesh, recorded, place, every)
        for recorded, place in zip(recordings, places, strict=False)
        if place is not None
    ]
    rows = [row for one in passes for row in one["residuals"]]
    medians = np.array([row["median_mm"] for row in rows])
    content = report(scanned.mesh, scanned.coverage, scanned.notes)
    content["motion"] = passes[0]["motion"]
    content["frames"] = len(rows)
    content["expected_error_mm"] = round(float(np.nanmedian(medians)), 2)
    content["symmetries"] = symmetries if isinstance(symmetries, str) else in_words(symmetries)
    return {**content, RECORDINGS: passes}


def _pass(mesh: Mesh, recorded: Recorded, world_from_obj: Array, every: int) -> dict[str, Any]:
    """Return what is kept of one recording."""
    motion = recorded.motion
    rows = residuals(mesh, recorded.frames, motion, world_from_obj)
    return {
        "motion": motion.source,
        "every": every,
        "world_from_obj": world_from_obj.tolist(),
        "world_from_cam": [
            pose.tolist() if np.isfinite(pose).all() else None for pose in motion.world_from_cam
        ],
        "residuals": [asdict(row) for row in rows],
    }


def check_output(folder: Path, name: str) -> None:
    """Check what names the files of a scan, before it is made.

    Raises:
        InvalidInput: the name cannot be that of a file, or the folder is a file.
    """
    if Path(name).name != name:
        raise InvalidInput(f"the name is {name!r}; expected the name of a file, without /")
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder} is a file; expected a folder for the results")


def write_scan(
    folder: Path,
    name: str,
    scanned: ScannedObject,
    content: dict[str, Any],
    symmetries: Symmetries | str = AUTO,
) -> None:
    """Write the files of a scan.

    Args:
        folder: made if it is not there.
        name: of the object.
        scanned: the object.
        content: see ``content_of``.
        symmetries: of the object, see ``find_symmetries``.

    Raises:
        InvalidInput: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.ply"
        write_mesh(path, scanned.mesh)
        entry = ObjectEntry(name, path, "m", symmetries)
        write_objects_file(folder / "objects.yaml", [entry], SYMMETRY_NOTE)
        (folder / "report.json").write_text(json_text(content))
        for side, image in pictures(scanned.mesh).items():
            cv2.imwrite(str(folder / f"{side}.png"), np.ascontiguousarray(image[..., ::-1]))
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be written: {error}") from error


def write_mesh(path: Path, mesh: Mesh) -> None:
    """Write a PLY file with vertex colours.

    Args:
        path: the file.
        mesh: metres.

    Raises:
        InvalidInput: the file cannot be written.
    """
    colors = mesh.colors
    shape = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=colors, process=False)
    try:
        shape.export(path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error}") from error


def summary(content: dict[str, Any]) -> str:
    """Return size, number of faces and error of a scan in a sentence.

    Args:
        content: see ``content_of``.
    """
    size = " x ".join(f"{value:.0f}" for value in content["size_mm"])
    return (
        f"{size} mm, {content['faces']} faces, from {content['frames']} frames; depth differs "
        f"from it by {content['expected_error_mm']} mm (median)"
    )
