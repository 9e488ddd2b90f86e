"""Poses → mesh markers for RViz, as triangle lists: they need no file on the viewer's machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from rclpy.duration import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from sam6d_ros.apps.ros.conversions.rigid import pose_message
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import PoseEstimates

# A scan has 10⁵ faces; every marker corner is a Python object, and RViz needs shape, not detail.
MAX_MARKER_FACES = 2000
OPACITY = 0.8
PLAIN_COLOUR = (0.2, 0.7, 0.3)


class MeshMarkers:
    """Makes marker arrays; the coarse mesh of each object is made once."""

    def __init__(self, models: Mapping[str, ObjectModel], lifetime_s: float = 2.0) -> None:
        self._templates = {name: _mesh_template(model) for name, model in models.items()}
        self._lifetime = Duration(seconds=lifetime_s).to_msg()

    def message(self, poses: PoseEstimates, header: Header) -> MarkerArray:
        """The poses of one image. What was shown before and is gone now is deleted."""
        markers = [Marker(header=header, action=Marker.DELETEALL)]
        for number, pose in enumerate(poses.items):
            points, colors = self._templates[pose.class_id]
            marker = Marker(
                header=header,
                ns=pose.class_id,
                id=number,
                type=Marker.TRIANGLE_LIST,
                action=Marker.ADD,
                pose=pose_message(pose.cam_from_obj),
                lifetime=self._lifetime,
            )
            marker.scale.x = marker.scale.y = marker.scale.z = 1.0
            red, green, blue = PLAIN_COLOUR
            marker.color = ColorRGBA(r=red, g=green, b=blue, a=OPACITY)
            marker.points, marker.colors = points, colors
            markers.append(marker)
        return MarkerArray(markers=markers)


def _mesh_template(model: ObjectModel) -> tuple[list[Point], list[ColorRGBA]]:
    """Corners (metres, object frame) and corner colours of the coarse mesh."""
    vertices, faces, colors = coarse_mesh(model, MAX_MARKER_FACES)
    corners = faces.ravel()
    points = [Point(x=x, y=y, z=z) for x, y, z in vertices[corners].tolist()]
    if colors is None:
        return points, []
    unit = (colors[corners] / 255.0).tolist()
    return points, [ColorRGBA(r=r, g=g, b=b, a=OPACITY) for r, g, b in unit]


def coarse_mesh(
    model: ObjectModel, max_faces: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64] | None]:
    """Vertex clustering: merge what falls into one cell of a grid, drop faces that collapse.

    Returns:
        vertices (V, 3) metres, faces (F, 3) with F ≤ max_faces, colours (V, 3) 0–255 or None.
    """
    vertices = np.asarray(model.vertices, np.float64)
    faces = np.asarray(model.faces, np.int64)
    colors = None if model.colors is None else np.asarray(model.colors, np.float64)
    cells_across = 64
    while len(faces) > max_faces:
        faces, vertices, colors = _cluster(model, cells_across)
        cells_across = int(cells_across * 0.8)
    return vertices, faces, colors


def _cluster(
    model: ObjectModel, cells_across: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64] | None]:
    low = model.vertices.min(0)
    cell_size = float((model.vertices.max(0) - low).max()) / cells_across
    cells = np.floor((model.vertices - low) / cell_size).astype(np.int64)
    _, owner, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    owner = owner.ravel()

    def mean(values: NDArray) -> NDArray[np.float64]:
        sums = [np.bincount(owner, weights=column) for column in np.asarray(values, float).T]
        return np.stack(sums, axis=1) / count[:, None]

    faces = owner[model.faces]
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2])
    faces = np.unique(faces[distinct & (faces[:, 0] != faces[:, 2])], axis=0)
    return faces, mean(model.vertices), None if model.colors is None else mean(model.colors)
