"""Bodies and answers of the tracking sessions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from sam6d_ros.apps.http.schemas.common import Answer, Body, FrameBody, Share

MAX_STAMP_NS = 2**63 - 1  # as in ROS and in files: a signed 64-bit number
Row = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]


class KnownPose(Body):
    """Pose of one instance, as the pose routes answer it; further fields are ignored."""

    name: str | None = Field(
        None, description="registered object; may be left out if the request names one object"
    )
    rotation: Annotated[list[Row], Field(min_length=3, max_length=3)]
    translation: Row = Field(description="of the CAD origin, in `units`")
    confidence: Share = 1.0


class TrackRequest(FrameBody):
    """Body of ``POST /api/v1/track/{session}``.

    The first request of a session has ``poses`` or ``detect``; a later one may, as a correction.
    ``output_dir`` and ``mask_format`` have no effect.
    """

    stamp_s: Annotated[FiniteFloat, Field(ge=0, le=MAX_STAMP_NS // 10**9)] | None = Field(
        None, description="time of capture, seconds; this or stamp_ns"
    )
    stamp_ns: Annotated[int, Field(ge=0, le=MAX_STAMP_NS)] | None = Field(
        None, description="time of capture, nanoseconds"
    )
    poses: Annotated[list[KnownPose], Field(min_length=1)] | None = Field(
        None, description="known poses in this frame; followed from here on if the frame agrees"
    )
    detect: bool = Field(False, description="whether the objects are searched in this frame")
    units: Literal["mm", "m"] = Field(
        "mm", description="unit of the translations in body and answer"
    )

    @model_validator(mode="after")
    def _one_stamp_one_start(self) -> TrackRequest:
        if (self.stamp_s is None) == (self.stamp_ns is None):
            raise ValueError("give stamp_s or stamp_ns: the time of capture of this frame")
        if self.poses is not None and self.detect:
            raise ValueError("give poses or detect, not both")
        return self

    @property
    def stamp(self) -> int:
        """Time of capture, nanoseconds."""
        return round(1e9 * (self.stamp_s or 0.0)) if self.stamp_ns is None else self.stamp_ns

    @property
    def starts(self) -> bool:
        """Whether it may be the first of a session."""
        return self.detect or self.poses is not None

    @property
    def needs_objects(self) -> bool:
        """Whether it is about the objects that it names, or about all of them."""
        unnamed = any(known.name is None for known in self.poses or ())
        return self.detect or unnamed or self.cad_path is not None


class TrackedPose(BaseModel):
    """Pose of a followed instance: p_cam = rotation · p_obj + translation, OpenCV camera frame."""

    instance_id: str = Field(description="of the physical object; constant within the session")
    name: str
    confirmed: bool = Field(
        description="whether the frame shows it; else it coasts at its expected pose for a while"
    )
    rotation: list[list[float]]
    translation: list[float] = Field(description="of the CAD origin, in `units`")
    quat_xyzw: list[float]
    confidence: float
    covariance: list[list[float]] | None = Field(
        description="of x, y, z and the rotation about them; metres and radians, camera frame"
    )


class TrackAnswer(Answer):
    """State of a session after its newest frame."""

    session: str
    stamp_ns: int = Field(description="of the newest frame")
    frames: int = Field(description="frames since the start of the session")
    poses: list[TrackedPose] = Field(description="followed instances, best first")
    units: Literal["mm", "m"]
    inference_time: float = Field(description="seconds for that frame, without the waiting time")
    reason: str = Field(description="why no instance is followed; else empty")
    notes: list[str] = Field(description="warnings about the input, and removed objects")
    timings_s: dict[str, float]
    expires_s: float = Field(description="seconds from now until an unused session ends")


class SessionEnd(Answer):
    """Answer of ``DELETE /api/v1/track/{session}``."""

    session: str
    frames: int
