"""Bodies about the video streams of a model server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from sam6d_ros.apps.http.schemas.common import Answer, Body, Share

Rate = Annotated[FiniteFloat, Field(ge=0.01, le=1000)]
State = Literal["connecting", "live", "stalled", "failed", "ended", "closed"]


class StreamRequest(Body):
    """Body of ``POST /streams``, ``PUT /streams/{id}`` and ``POST /streams/test``."""

    name: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="for people")
    url: Annotated[str, Field(min_length=1, max_length=2048)] = Field(
        description="rtsp://, rtsps://, http:// or https:// address (with user:password@ where "
        "the camera needs it), /dev/videoN, the absolute path of a video file below an allowed "
        "folder; with depth frames:FOLDER (BOP format) or bag:PATH (ROS 2 bag). The address of an "
        "edited stream as it was shown keeps its password",
        examples=["rtsp://user:password@192.168.1.20:554/stream1"],
    )
    max_rate_hz: Rate | None = Field(
        None, description="most pictures per second that are analysed and sent (default: all)"
    )
    transport: Literal["tcp", "udp"] = Field("tcp", description="of RTSP")
    hardware: Literal["", "cuda", "qsv", "drm", "amf", "vaapi"] = Field(
        "", description="FFmpeg device type that decodes; empty for the CPU"
    )
    loop: bool = Field(True, description="whether files and folders start again at their end")
    rate_hz: Rate = Field(5.0, description="pictures per second of a frame folder")
    model: Annotated[str, Field(max_length=64)] = Field(
        "", description="registered model whose boxes or poses are drawn; empty for none"
    )
    threshold: Share | None = Field(
        None, description="lowest score that is drawn (default: the model's)"
    )


class StreamOut(BaseModel):
    """One stream."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    name: str
    url: str = Field(description="without credentials")
    max_rate_hz: float | None
    transport: str
    hardware: str
    loop: bool
    rate_hz: float
    model: str
    threshold: float | None
    state: State
    reason: str = Field(description="why there are no pictures, with the remedy; else empty")
    retry_s: float | None = Field(description="seconds until the next attempt; null unless failed")
    width: int | None
    height: int | None
    input_rate_hz: float = Field(description="pictures decoded per second")
    age_s: float | None = Field(description="of the newest picture")
    pictures: int = Field(description="decoded since the start")
    attempts: int = Field(description="number of times the source was opened")
    viewers: int
    output_rate_hz: float = Field(description="pictures analysed and encoded per second")
    output_age_s: float | None = Field(
        description="median from decoding to the end of encoding; null without viewers"
    )
    output_age_p95_s: float | None
    error: str = Field(description="why the last analysis failed; else empty")


class StreamAnswer(Answer):
    """Answer about one stream."""

    stream: StreamOut


class StreamsAnswer(Answer):
    """Answer of ``GET /streams``."""

    streams: list[StreamOut]


class TrialAnswer(Answer):
    """Answer of ``POST /streams/test``."""

    live: bool = Field(description="whether a picture came")
    reason: str = Field(description="why none came, with the remedy; else empty")
    width: int | None = None
    height: int | None = None
    picture: str | None = Field(None, description="JPEG in base64")
