"""Bodies of predictions."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sam6d_ros.apps.http.schemas.common import Answer, Body


class PredictRequest(Body):
    """JSON body of ``POST /predict``."""

    image: str = Field(description="PNG, JPEG or TIFF file in base64")


class BatchRequest(Body):
    """JSON body of ``POST /predict/batch``."""

    images: list[str] = Field(description="PNG, JPEG or TIFF files in base64", min_length=1)


class DetectionOut(BaseModel):
    """One box."""

    label: str
    score: float
    box_xyxy: list[float] = Field(description="left, top, right, bottom edge, pixels of the image")


class PoseOfObject(BaseModel):
    """Pose of one instance."""

    name: str
    instance_id: str
    score: float
    cam_from_obj: list[list[float]] = Field(
        description="4×4, metres, camera optical frame; takes points of the CAD model there"
    )


class Prediction(BaseModel):
    """Result of one image."""

    model_config = ConfigDict(protected_namespaces=())

    width: int
    height: int
    num_detections: int
    detections: list[DetectionOut] = Field(description="best first")
    poses: list[PoseOfObject] | None = Field(description="of a pose pipeline; else null")
    timings_ms: dict[str, float] = Field(
        description="queue, preprocess, inference, postprocess; of the call that held the image"
    )
    visualization: str | None = Field(None, description="PNG in base64, with ?visualize=true")


class PredictAnswer(Answer):
    """Answer of ``POST /predict``."""

    model: str
    result: Prediction


class BatchItem(BaseModel):
    """Result or error of one image of a batch."""

    success: bool
    error_message: str | None = None
    result: Prediction | None = None


class BatchAnswer(Answer):
    """Answer of ``POST /predict/batch``; results in the order of the images."""

    model: str
    num_failed: int
    results: list[BatchItem]
