"""Objects and their grasps → meshes and subframes of collision objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose
from shape_msgs.msg import Mesh, MeshTriangle

from sam6d_ros.apps.ros.conversions.rigid import pose_message
from sam6d_ros.cad.decimation import decimate
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.grasps.types import Grasp


def collision_mesh(model: ObjectModel, max_faces: int) -> Mesh:
    """The object's mesh, metres, in its own frame, with about ``max_faces`` faces at most."""
    vertices, faces = model.vertices.astype(np.float64), model.faces.astype(np.int64)
    if len(faces) > max_faces:
        vertices, faces, _ = decimate(vertices, faces, None, max_faces)
    triangles = [MeshTriangle(vertex_indices=face) for face in faces.astype(np.uint32)]
    return Mesh(
        triangles=triangles, vertices=[Point(x=x, y=y, z=z) for x, y, z in vertices.tolist()]
    )


def grasp_subframes(grasps: Sequence[Grasp]) -> tuple[list[str], list[Pose]]:
    """Names and poses, in the object's frame, of the grasps and of the places before them."""
    names, poses = [], []
    for grasp in grasps:
        names += [grasp.name, f"{grasp.name}_pregrasp"]
        poses += [pose_message(grasp.obj_from_grip), pose_message(grasp.obj_from_pregrasp)]
    return names, poses
