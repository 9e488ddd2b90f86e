"""Bodies of the pose estimation service."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from sam6d_ros.apps.http.schemas.common import (
    Answer,
    Body,
    FrameBody,
    Matrix,
    Share,
    TemplateSource,
)
from sam6d_ros.apps.http.schemas.ism import InferenceAnswer


class DetectionsIn(Body):
    """Instances in the image; entry N of each list belongs to instance N."""

    masks: list[Any] = Field(description="COCO RLE, or rows of 0 and 1, of the image's size")
    boxes: list[list[FiniteFloat]] | None = Field(None, description="not used: masks count")
    scores: list[Share] | None = None
    object_ids: list[int] | None = Field(
        None, description="position in the objects of the request, from 0"
    )
    names: list[str] | None = Field(None, description="object of each mask; before object_ids")
    instance_ids: list[Annotated[str, Field(min_length=1, max_length=100)]] | None = None
    pose_hints: list[list[Matrix]] | None = None

    @model_validator(mode="after")
    def _same_lengths(self) -> DetectionsIn:
        for name in ("boxes", "scores", "object_ids", "names", "instance_ids", "pose_hints"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.masks):
                raise ValueError(f"{name} has {len(values)} entries for {len(self.masks)} masks")
        return self


class PoseOptions(FrameBody):
    """Options of both pose routes."""

    units: Literal["mm", "m"] = Field("mm", description="unit of the translations in the answer")
    grasps: bool = Field(False, description="whether grasps of each object are returned too")
    cloud: bool = Field(False, description="whether the point cloud of the frame is returned too")


class PoseRequest(PoseOptions):
    """Body of ``POST /api/v1/pose_estimation``."""

    detections: DetectionsIn


class PipelineRequest(PoseOptions):
    """Body of ``POST /api/v1/full_pipeline``."""


class GraspOut(BaseModel):
    """One grasp, in the camera frame."""

    name: str
    score: float
    width: float = Field(description="opening, metres")
    cam_from_grip: list[list[float]] = Field(description="4×4, metres; grip frame: docs/grasps.md")


class PoseOut(BaseModel):
    """Pose of one instance: p_cam = rotation · p_obj + translation, OpenCV camera frame."""

    object_id: int = Field(description="index of the mask; of the pose in a full pipeline")
    name: str
    instance_id: str
    rotation: list[list[float]]
    translation: list[float] = Field(description="of the CAD origin, in `units`")
    quat_xyzw: list[float]
    confidence: float
    bbox: list[int] = Field(description="x, y, width, height, pixels")
    covariance: list[list[float]] | None = Field(
        description="of x, y, z and the rotation about them; metres and radians, camera frame"
    )
    mask: dict[str, Any] | None = Field(description="COCO RLE of the explained pixels")
    grasps: list[GraspOut] | None = None


class MaskFailure(BaseModel):
    """Mask without a pose."""

    object_id: int = Field(description="index of the mask")
    reason: str


class CloudOut(BaseModel):
    """Coloured point cloud of the frame, for viewers."""

    count: int = Field(description="number of points; a random subset if the frame has more")
    xyz: str = Field(description="base64 of count × 3 float32, little-endian, metres, camera frame")
    rgb: str = Field(description="base64 of count × 3 uint8")


class PoseAnswer(Answer):
    """Answer of ``POST /api/v1/pose_estimation``."""

    poses: list[PoseOut]
    failures: list[MaskFailure] = Field(description="every mask without a pose, and why")
    units: Literal["mm", "m"]
    inference_time: float = Field(description="seconds, without the waiting time")
    cad_path_used: str | None
    templates: TemplateSource = Field(
        "rendered", description="whether views were rendered or read from template files"
    )
    output_dir_used: str | None
    reason: str = Field(description="why there is no pose; else empty")
    notes: list[str] = Field(description="warnings about the input")
    timings_s: dict[str, float]
    visualization: str | None = Field(None, description="PNG in base64, with ?visualize=true")
    cloud: CloudOut | None = Field(None, description='with "cloud": true')


class PipelineAnswer(Answer):
    """Answer of ``POST /api/v1/full_pipeline``."""

    ism_result: InferenceAnswer
    pem_result: PoseAnswer
    total_time: float = Field(description="seconds, without the waiting time")
