"""Answers of the instance segmentation service."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from sam6d_ros.apps.http.schemas.common import Answer, FrameBody, TemplateSource


class InferenceRequest(FrameBody):
    """Body of ``POST /api/v1/inference``."""


class DetectionsOut(BaseModel):
    """Instances in an image; entry N of each list belongs to instance N."""

    masks: list[Any] = Field(description="COCO RLE, or rows of 0 and 1")
    boxes: list[list[int]] = Field(description="x, y, width, height of each mask, pixels")
    scores: list[float]
    object_ids: list[int] = Field(description="position in the objects of the request, from 0")
    names: list[str]
    instance_ids: list[str]
    pose_hints: list[list[list[list[float]]]] = Field(
        description="rough cam_from_obj (4×4, metres) for the pose estimation; may be empty"
    )


class InferenceAnswer(Answer):
    """Answer of ``POST /api/v1/inference``."""

    inference_time: float = Field(description="seconds, without the waiting time")
    num_detections: int
    template_dir_used: str | None
    templates: TemplateSource = Field(
        "rendered", description="whether views were rendered or read from template files"
    )
    cad_path_used: str | None
    output_dir_used: str | None
    detections: DetectionsOut
    reason: str = Field(description="why nothing was found; else empty")
    notes: list[str] = Field(description="warnings about the input")
    timings_s: dict[str, float]
    visualization: str | None = Field(None, description="PNG in base64, with ?visualize=true")
