"""Recording of a frame and its poses for the Rerun viewer (rerun.io)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sam6d_ros.apps.cli.viewed_scene import Placed, ViewedScene
from sam6d_ros.errors import BackendUnavailable, install_extra


def rerun() -> Any:
    """Return the module.

    Raises:
        BackendUnavailable: the Rerun SDK is not installed.
    """
    try:
        import rerun as module
    except ImportError as error:
        raise BackendUnavailable(
            f"--rerun needs the Rerun SDK, which cannot be imported ({error}); "
            f"{install_extra('rerun')}"
        ) from error
    return module


def write_recording(scene: ViewedScene, path: Path) -> None:
    """Write a scene as a recording (``.rrd``); an existing file is replaced.

    Args:
        scene: content.
        path: the file; its folder is made.

    Raises:
        BackendUnavailable: the Rerun SDK is not installed.
    """
    rr, frame = rerun(), scene.frame
    path.parent.mkdir(parents=True, exist_ok=True)
    recording = rr.RecordingStream("sam6d_estimate")
    recording.save(path)
    recording.log("/", rr.ViewCoordinates.RDF, static=True)  # camera optical frame
    camera = rr.Pinhole(
        image_from_camera=frame.camera.matrix,
        width=frame.camera.width,
        height=frame.camera.height,
    )
    recording.log("camera", camera)
    recording.log("camera/image", rr.Image(frame.rgb))
    recording.log("overlay", rr.Image(scene.overlay))
    recording.log("depth", rr.DepthImage(frame.depth, meter=1.0))
    recording.log("cloud", rr.Points3D(scene.points, colors=scene.point_colors))
    for placed in (*scene.poses, *scene.alternatives):
        _log_model(rr, recording, placed)
    recording.disconnect()  # writes what is left


def _log_model(rr: Any, recording: Any, placed: Placed) -> None:
    """Log a model with its pose, box and label."""
    pose, model = placed.cam_from_obj, placed.model
    recording.log(placed.path, rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
    mesh = rr.Mesh3D(
        vertex_positions=model.vertices,
        triangle_indices=model.faces,
        vertex_colors=placed.vertex_colors,
    )
    recording.log(f"{placed.path}/mesh", mesh)
    box = model.obj_from_box
    recording.log(
        f"{placed.path}/box",
        rr.Transform3D(translation=box[:3, 3], mat3x3=box[:3, :3]),
        rr.Boxes3D(sizes=[model.box_size], labels=[placed.label]),
    )
