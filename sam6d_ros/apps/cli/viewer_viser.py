"""Web page with a frame and its poses, served by viser (viser.studio)."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from sam6d_ros.apps.cli.viewed_scene import Placed, ViewedScene
from sam6d_ros.errors import BackendUnavailable, install_extra

HOST, PORT = "127.0.0.1", 8080
POINT_SIZE_M = 0.001
CAMERA_SIZE_M = 0.1


def viser() -> Any:
    """Return the module.

    Raises:
        BackendUnavailable: viser is not installed.
    """
    try:
        import viser as module
    except ImportError as error:
        raise BackendUnavailable(
            f"--viser needs viser, which cannot be imported ({error}); {install_extra('viser')}"
        ) from error
    return module


def open_page(scene: ViewedScene, port: int = PORT) -> Any:
    """Serve a scene on this machine; the server runs in threads until its ``stop``.

    Args:
        scene: content.
        port: of the page; the next free one is taken if it is in use.

    Returns:
        The ``viser.ViserServer``.

    Raises:
        BackendUnavailable: viser is not installed.
    """
    server = viser().ViserServer(host=HOST, port=port, label="sam6d estimate", verbose=False)
    server.scene.set_up_direction("-y")  # camera optical frame
    server.scene.add_point_cloud(
        "/cloud", scene.points, scene.point_colors, point_size=POINT_SIZE_M, precision="float32"
    )
    camera = scene.frame.camera
    server.scene.add_camera_frustum(
        "/camera",
        fov=2 * float(np.arctan2(camera.height / 2, camera.fy)),
        aspect=camera.width / camera.height,
        scale=CAMERA_SIZE_M,
        image=scene.frame.rgb,
    )
    for placed in scene.poses:
        _add_model(server, placed, visible=True)
    for placed in scene.alternatives:
        _add_model(server, placed, visible=False)
    return server


def wait_for_interrupt() -> None:
    """Return at Ctrl-C."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return


def _add_model(server: Any, placed: Placed, visible: bool) -> None:
    """Add a model with its pose, axes and label."""
    x, y, z, w = Rotation.from_matrix(placed.cam_from_obj[:3, :3]).as_quat()
    model, path = placed.model, f"/{placed.path}"
    server.scene.add_frame(
        path,
        axes_length=model.diameter / 2,
        axes_radius=model.diameter / 100,
        wxyz=(w, x, y, z),
        position=placed.cam_from_obj[:3, 3],
        visible=visible,
    )
    mesh = trimesh.Trimesh(
        model.vertices, model.faces, vertex_colors=placed.vertex_colors, process=False
    )
    server.scene.add_mesh_trimesh(f"{path}/mesh", mesh)
    server.scene.add_label(f"{path}/label", placed.label)
