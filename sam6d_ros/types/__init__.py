"""The typed values that flow from stage to stage: frozen, validated where data enters.

The constructors raise ``InvalidInput``; inside a stage ``errors.own_results`` turns it into
``InvariantError``, for our own results.

Conventions: metres, camera optical frame (x right, y down, z forward), images RGB, depth float32
metres with 0 = invalid, transforms named ``target_from_source``.
"""

from __future__ import annotations

from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.types.boxes import Boxes
from sam6d_ros.types.detections import Detection, Detections, Proposals
from sam6d_ros.types.frame import Frame, Scene
from sam6d_ros.types.masks import mask_box
from sam6d_ros.types.poses import (
    Alternative,
    Candidates,
    InstanceCandidates,
    PoseEstimate,
    PoseEstimates,
    Rejection,
)

__all__ = [
    "Alternative",
    "Boxes",
    "CameraIntrinsics",
    "Candidates",
    "Detection",
    "Detections",
    "Frame",
    "InstanceCandidates",
    "PoseEstimate",
    "PoseEstimates",
    "Proposals",
    "Rejection",
    "Scene",
    "mask_box",
]
