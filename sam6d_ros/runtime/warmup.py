"""A small made-up frame that takes every stage through its usual path once."""

from __future__ import annotations

import numpy as np

from sam6d_ros.cad.model import ObjectModel, Symmetries
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, ray_directions
from sam6d_ros.geometry.mesh import unit_box
from sam6d_ros.types import Detection, Detections, Frame, PoseEstimate, PoseEstimates

CAMERA = CameraIntrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)
# Table seen from above at about 45°, behind and below the object.
TABLE_NORMAL = np.array([0.0, -0.7071, -0.7071])
# Box corners in the order of the bits of their index, and two triangles per side.
SIDES = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]


def warm_up_input(model: ObjectModel | None) -> tuple[ObjectModel, Frame, Detections]:
    """The object (a box when None is given), a frame showing it on a table, and its detection."""
    model = model or box_model()
    cam_from_obj = se3.exp([0, 0, 3.0 * model.diameter, 0.7, 0.4, 0.2])
    seen = model.scene.render(CAMERA, cam_from_obj)
    v, u = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    rays = ray_directions(CAMERA, u, v)
    # the plane touches the object's sphere from behind; above the horizon there is nothing
    point = cam_from_obj[:3, 3] - 0.4 * model.diameter * TABLE_NORMAL
    along = rays @ TABLE_NORMAL
    table = np.where(along < -0.1, (point @ TABLE_NORMAL) / np.minimum(along, -0.1), 0)
    depth = np.where(seen.mask, seen.depth, table).astype(np.float32)
    rgb = np.where(seen.mask[..., None], seen.rgb, 90).astype(np.uint8)
    detection = Detection(model.name, 1.0, seen.mask, pose_hints=cam_from_obj[None])
    return model, Frame(rgb, depth, CAMERA), Detections((detection,))


def warm_up_poses(frame: Frame, detections: Detections) -> PoseEstimates:
    """The true poses of the detections, for what follows known instances."""
    items = tuple(
        PoseEstimate(found.class_id, 1.0, found.pose_hints[0], instance_id=f"{found.class_id}_1")
        for found in detections.items
    )
    return PoseEstimates(items, frame.stamp_ns, frame.frame_id)


def box_model(size: tuple[float, float, float] = (0.08, 0.12, 0.16)) -> ObjectModel:
    """A plain coloured box, metres, onboarded by hand."""
    corners = unit_box() * np.asarray(size)
    faces = [face for a, b, c, d in SIDES for face in ((a, b, c), (a, c, d))]
    none = Symmetries()
    return ObjectModel(
        name="warm_up_box",
        vertices=corners.astype(np.float32),
        faces=np.asarray(faces, np.int32),
        colors=np.linspace(40, 220, 24).reshape(8, 3).astype(np.uint8),
        diameter=float(np.linalg.norm(size)),
        obj_from_box=np.eye(4),
        box_size=np.asarray(size, np.float64),
        symmetries=none,
        shape_symmetries=none,
        content_hash="warm_up_box",
    )
