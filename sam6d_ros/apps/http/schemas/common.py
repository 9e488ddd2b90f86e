"""Parts of requests and answers that several services share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

CadUnit = Literal["auto", "m", "cm", "mm", "inch", "ft"]
TemplateSource = Literal["rendered", "files"]
RLE_FORMAT, ROWS_FORMAT = "rle", "lists"
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Matrix = Annotated[list[list[FiniteFloat]], Field(min_length=3, max_length=4)]
MAX_TIMEOUT_S = 3600.0


class Body(BaseModel):
    """Base of request bodies; fields of other services in the same body are ignored."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, protected_namespaces=())


class CameraParams(Body):
    """Camera of both images."""

    cam_K: Annotated[list[FiniteFloat], Field(min_length=9, max_length=9)] = Field(
        description="camera matrix by rows, pixels: fx 0 cx 0 fy cy 0 0 1",
        examples=[[572.4114, 0.0, 325.2611, 0.0, 573.57043, 242.04899, 0.0, 0.0, 1.0]],
    )
    depth_scale: Annotated[FiniteFloat, Field(gt=0)] = Field(
        1.0, description="millimetres per unit of the depth image"
    )

    @field_validator("cam_K", mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        """Take three rows of three as well."""
        if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
            return [number for row in value for number in row]
        return value


class FrameBody(Body):
    """One RGB-D frame and what to look for in it."""

    rgb_image: str = Field(description="colour image: PNG, JPEG or TIFF file in base64")
    depth_image: str = Field(
        description="depth registered to the colour image: 16-bit PNG or TIFF, or float TIFF, in "
        "base64; 0 = no measurement"
    )
    cam_params: CameraParams
    cad_path: str | None = Field(None, description="CAD file below an allowed folder")
    template_dir: str | None = Field(
        None,
        description="folder of SAM-6D's templates of cad_path (rgb_N.png, mask_N.png, xyz_N.npy); "
        "without any, they are rendered",
    )
    object: str | list[str] | None = Field(
        None, description="name of a registered object, or several; instead of cad_path"
    )
    cad_unit: CadUnit = Field("auto", description="unit of the CAD file")
    output_dir: str | None = Field(
        None, description="folder below an allowed one; receives the files that SAM-6D writes"
    )
    min_score: Share | None = Field(
        None, description="poses with a lower score are not returned (default: the backend's)"
    )
    max_instances: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="most instances of one object (default: the server's)"
    )
    timeout_s: Annotated[FiniteFloat, Field(gt=0, le=MAX_TIMEOUT_S)] | None = Field(
        None, description="seconds until the answer; the server may allow less"
    )
    mask_format: Literal["rle", "lists"] = Field(
        "rle", description="masks in the answer: COCO RLE, or rows of 0 and 1"
    )

    @field_validator("cad_path", "template_dir", "output_dir", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @model_validator(mode="after")
    def _one_choice(self) -> FrameBody:
        if self.object is not None and self.cad_path is not None:
            raise ValueError("give cad_path or object, not both")
        if self.object == [] or self.object == "":
            raise ValueError("object is empty; name at least one object, or leave it out")
        return self


class Answer(BaseModel):
    """Base of answers."""

    model_config = ConfigDict(protected_namespaces=())

    success: bool = True
    error_message: str | None = None
    request_id: str


class Failure(Answer):
    """Answer to a request that failed."""

    success: bool = False


class Health(BaseModel):
    """Answer of ``/health``."""

    status: Literal["healthy", "unavailable"]
    message: str
    timestamp: float = Field(description="Unix time, seconds")
    replicas: dict[str, int] | None = Field(
        None, description="number of replicas in each state, on a fleet"
    )


class Status(BaseModel):
    """Answer of ``/api/v1/status``."""

    model_config = ConfigDict(protected_namespaces=())

    server: Literal["running", "draining"] = "running"
    version: str
    model_loaded: bool
    templates_loaded: bool = Field(description="whether an object is prepared")
    cad_loaded: bool
    device: str | None
    backend: str | None
    num_templates: int = Field(description="prepared objects × views of each")
    uptime: float = Field(description="seconds since the start")
    objects: list[str]
    queue_length: int
    queue_capacity: int
    rejected: int
    sessions: int = Field(description="open tracking sessions")
    state: str
    last_error: str
    timings_s: dict[str, float] = Field(description="median seconds of each stage")
