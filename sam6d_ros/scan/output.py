"""Files of a scanned object: mesh, objects file, report, pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.cad.objects import write_objects_file
from sam6d_ros.errors import InvalidInput
from sam6d_ros.scan.build import ScannedObject
from sam6d_ros.scan.motion import Frames, Motion
from sam6d_ros.scan.report import pictures, report, residuals


def content_of(
    scanned: ScannedObject, frames: Frames, motion: Motion, every: int = 1
) -> dict[str, Any]:
    """Return the report of a scan as plain values for JSON.

    Args:
        scanned: the object.
        frames: what it was made of.
        motion: poses of their cameras.
        every: the frames are every n-th of the recording.

    Returns:
        Size, error and coverage, and the poses that ``sam6d scan check`` needs.
    """
    rows = residuals(scanned.mesh, frames, motion, scanned.world_from_obj)
    content = report(scanned.mesh, scanned.coverage, rows, motion.source, scanned.notes)
    content["every"] = every
    content["world_from_obj"] = scanned.world_from_obj.tolist()
    content["world_from_cam"] = [
        pose.tolist() if np.isfinite(pose).all() else None for pose in motion.world_from_cam
    ]
    return content


def write_scan(folder: Path, name: str, scanned: ScannedObject, content: dict[str, Any]) -> None:
    """Write the files of a scan.

    Args:
        folder: made if it is not there.
        name: of the object.
        scanned: the object.
        content: see ``content_of``.

    Raises:
        InvalidInput: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.ply"
        write_mesh(path, scanned.mesh)
        write_objects_file(folder / "objects.yaml", [ObjectEntry(name, path, "m")])
        (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n")
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
