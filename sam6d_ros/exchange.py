"""Results as plain values for JSON, the same for the command line and HTTP; masks as COCO RLE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import rle, se3
from sam6d_ros.types import (
    Alternative,
    Frame,
    PoseEstimate,
    PoseEstimates,
    Rejection,
    mask_box,
)


def poses_as_json(
    frame: Frame,
    poses: PoseEstimates,
    models: Mapping[str, ObjectModel],
    inputs: Mapping[str, str],
) -> dict[str, Any]:
    """Content of poses.json, with its units and conventions."""
    camera = frame.camera
    return {
        "convention": "cam_from_obj: p_cam = R p_obj + t; metres; camera optical frame "
        "(x right, y down, z forward); p_obj in metres in the CAD frame",
        "inputs": dict(inputs),
        "stamp_ns": poses.stamp_ns,
        "frame_id": poses.frame_id,
        "camera": {
            "K": camera.matrix.ravel().tolist(),
            "width": camera.width,
            "height": camera.height,
        },
        "poses": [pose_as_json(pose, models[pose.class_id]) for pose in poses.items],
        "reason": poses.reason,
        "rejected": [rejection_as_json(rejection) for rejection in poses.rejected],
        "timings_s": {stage: round(value, 4) for stage, value in poses.timings_s.items()},
    }


def pose_as_json(pose: PoseEstimate, model: ObjectModel) -> dict[str, Any]:
    """One instance."""
    cam_from_box = pose.cam_from_obj @ model.obj_from_box
    return {
        "name": pose.class_id,
        "instance_id": pose.instance_id,
        "score": round(pose.score, 4),
        "score_parts": {name: round(float(v), 4) for name, v in pose.agreement.items()},
        "R": pose.cam_from_obj[:3, :3].tolist(),
        "t": pose.cam_from_obj[:3, 3].tolist(),
        "quat_xyzw": se3.quat_xyzw(pose.cam_from_obj).tolist(),
        "box": {
            "center": cam_from_box[:3, 3].tolist(),
            "quat_xyzw": se3.quat_xyzw(cam_from_box).tolist(),
            "size": np.asarray(model.box_size, float).tolist(),
        },
        "covariance": None if pose.covariance is None else np.asarray(pose.covariance).tolist(),
        "visible": round(pose.visible, 4),
        "alternatives": [alternative_as_json(other) for other in pose.alternatives],
        **mask_as_json(pose),
    }


def alternative_as_json(other: Alternative) -> dict[str, Any]:
    """Another pose or name that the frame does not rule out."""
    return {
        "name": other.class_id,
        "probability": round(other.probability, 4),
        "R": other.cam_from_obj[:3, :3].tolist(),
        "t": other.cam_from_obj[:3, 3].tolist(),
        "quat_xyzw": se3.quat_xyzw(other.cam_from_obj).tolist(),
    }


def rejection_as_json(rejection: Rejection) -> dict[str, Any]:
    """One estimate that was not accepted."""
    return {
        "name": rejection.class_id,
        "instance_id": rejection.instance_id,
        "score": round(rejection.score, 4),
        "reason": rejection.reason,
    }


def mask_as_json(pose: PoseEstimate) -> dict[str, Any]:
    """Image box (x, y, width, height) and mask as COCO RLE; None when the mask is unknown."""
    if pose.mask is None:
        return {"bbox_xywh": None, "mask": None}
    return {"bbox_xywh": list(mask_box(pose.mask)), "mask": rle.encode(pose.mask)}
