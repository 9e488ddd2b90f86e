"""Results → answers: detections, poses and grasps as plain values; pictures as PNG."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.apps.http.schemas.common import RLE_FORMAT
from sam6d_ros.apps.http.schemas.ism import DetectionsOut
from sam6d_ros.apps.http.schemas.pem import CloudOut, GraspOut, PoseOut
from sam6d_ros.apps.http.schemas.track import TrackedPose
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.exchange import pose_as_json
from sam6d_ros.geometry import rle
from sam6d_ros.geometry.camera import back_project
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.grasps.types import GraspSet
from sam6d_ros.types import Detections, Frame, PoseEstimate, PoseEstimates
from sam6d_ros.visualize import draw_masks, draw_poses

MAX_GRASPS = 10  # of each instance in an answer
MAX_CLOUD_POINTS = 60_000  # 1.2 MB in an answer; a viewer without a GPU draws them in 30 ms


def detections_out(found: Detections, names: Sequence[str], mask_format: str) -> DetectionsOut:
    """Return detections for an answer.

    Args:
        names: objects of the request, in its order.
        mask_format: "rle" or "lists".
        found: the detections.
    """
    items = found.items
    encode = rle.encode if mask_format == RLE_FORMAT else lambda mask: mask.astype(int).tolist()
    return DetectionsOut(
        masks=[encode(item.mask) for item in items],
        boxes=[list(item.bbox_xywh) for item in items],
        scores=[round(float(item.score), 6) for item in items],
        object_ids=[names.index(item.class_id) for item in items],
        names=[item.class_id for item in items],
        instance_ids=[item.instance_id for item in items],
        pose_hints=[item.pose_hints.tolist() for item in items],
    )


def poses_out(
    poses: PoseEstimates,
    models: Mapping[str, ObjectModel],
    numbers: Mapping[str, int],
    units: str,
    grasps: Mapping[str, GraspSet],
) -> list[PoseOut]:
    """Return poses for an answer.

    Args:
        models: by name.
        numbers: of each instance id.
        units: of the translations: "mm" or "m".
        grasps: of the objects; none if they were not asked for.
        poses: the poses.
    """
    return [
        _pose_out(pose, models[pose.class_id], numbers, units, grasps.get(pose.class_id))
        for pose in poses.items
    ]


def _pose_out(
    pose: PoseEstimate,
    model: ObjectModel,
    numbers: Mapping[str, int],
    units: str,
    grasps: GraspSet | None,
) -> PoseOut:
    values = pose_as_json(pose, model)
    scale = MM_PER_M if units == "mm" else 1.0
    return PoseOut(
        object_id=numbers[pose.instance_id],
        name=pose.class_id,
        instance_id=pose.instance_id,
        rotation=values["R"],
        translation=[scale * value for value in values["t"]],
        quat_xyzw=values["quat_xyzw"],
        confidence=float(pose.score),
        bbox=values["bbox_xywh"] or [0, 0, 0, 0],
        covariance=values["covariance"],
        mask=values["mask"],
        grasps=None if grasps is None else grasps_out(pose, grasps),
    )


def tracked_out(
    poses: PoseEstimates, models: Mapping[str, ObjectModel], units: str
) -> list[TrackedPose]:
    """Return followed poses for an answer; arguments as in ``poses_out``."""
    scale = MM_PER_M if units == "mm" else 1.0
    out = []
    for pose in poses.items:
        values = pose_as_json(pose, models[pose.class_id])
        tracked = TrackedPose(
            instance_id=pose.instance_id,
            name=pose.class_id,
            confirmed=pose.confirmed,
            rotation=values["R"],
            translation=[scale * value for value in values["t"]],
            quat_xyzw=values["quat_xyzw"],
            confidence=float(pose.score),
            covariance=values["covariance"],
        )
        out.append(tracked)
    return out


def grasps_out(pose: PoseEstimate, grasps: GraspSet) -> list[GraspOut]:
    """Return the best grasps of one instance in the camera frame."""
    return [
        GraspOut(
            name=grasp.name,
            score=grasp.score,
            width=grasp.width,
            cam_from_grip=(pose.cam_from_obj @ grasp.obj_from_grip).tolist(),
        )
        for grasp in grasps.grasps[:MAX_GRASPS]
    ]


def cloud_out(frame: Frame) -> CloudOut:
    """Return the measured points of a frame with their colours; a random subset of many."""
    chosen = np.flatnonzero(frame.depth > 0)
    if len(chosen) > MAX_CLOUD_POINTS:
        chosen = np.random.default_rng(0).choice(chosen, MAX_CLOUD_POINTS, replace=False)
    xyz = back_project(frame.camera, frame.depth).reshape(-1, 3)[chosen]
    rgb = frame.rgb.reshape(-1, 3)[chosen]
    return CloudOut(
        count=len(chosen), xyz=_base64(xyz.astype("<f4")), rgb=_base64(rgb.astype(np.uint8))
    )


def _base64(array: NDArray[np.generic]) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")


def detections_picture(frame: Frame, found: Detections) -> NDArray[np.uint8]:
    """Return the image with the masks of detections, (H, W, 3) uint8 RGB."""
    labels = [f"{item.class_id} {item.score:.2f}" for item in found.items]
    return draw_masks(frame.rgb, [item.mask for item in found.items], labels)


def poses_picture(
    frame: Frame, poses: PoseEstimates, models: Mapping[str, ObjectModel]
) -> NDArray[np.uint8]:
    """Return the image with contours, boxes and axes of poses, (H, W, 3) uint8 RGB."""
    return draw_poses(frame.rgb, frame.camera, poses.items, models)
