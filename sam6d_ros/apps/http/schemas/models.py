"""Bodies about the models of a model server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, FiniteFloat

from sam6d_ros.apps.http.schemas.common import Answer, Body, Share
from sam6d_ros.runtime.admission import DEFAULT_CAPACITY
from sam6d_ros.runtime.model_server.spec import LIMITS, NAME


def _within(name: str) -> object:
    low, high = LIMITS[name]
    return Field(ge=low, le=high)


class ModelRequest(Body):
    """Body of ``POST /models``."""

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")] = Field(
        description="letters, digits, '_', '.' and '-', at most 64"
    )
    source: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        validation_alias=AliasChoices("source", "path"),
        description="absolute path of a model file or folder below an allowed one, or "
        "http://HOST:PORT/MODEL, grpc://HOST:PORT/MODEL of a Triton server",
    )
    threshold: Share = Field(0.5, description="lowest score that is returned")
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]{1,3})?)$")] = "cpu"
    warm_up_runs: Annotated[int, _within("warm_up_runs")] = 1
    metrics: bool = Field(True, description="whether the phases of its calls are measured")
    max_batch: Annotated[int, _within("max_batch")] | None = Field(
        None, description="most images of one call (default: 8 on CUDA and for addresses, else 1)"
    )
    max_delay_ms: Annotated[FiniteFloat, _within("max_delay_ms")] = Field(
        0.0, description="for how long an image waits for others; 0 takes those that wait already"
    )
    capacity: Annotated[int, _within("capacity")] = Field(
        DEFAULT_CAPACITY, description="requests that wait; further ones get 429"
    )
    use_cuda_stream: bool | None = Field(
        None, description="whether it has a CUDA stream of its own (default: the server's)"
    )
    timeout_s: Annotated[FiniteFloat, _within("timeout_s")] = Field(
        30.0, description="seconds until an answer, with the wait in the queue"
    )
    isolated: bool = Field(
        False,
        description="whether it runs in a process of its own, whose crash harms no other model",
    )
    replace: bool = Field(False, description="whether it takes the place of a namesake")


class ModelOut(BaseModel):
    """One model."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    source: str
    state: Literal[
        "loading",
        "ready",
        "loading failed",
        "failed on the last image",
        "does not answer",
        "draining",
        "unloaded",
        "evicted",
    ]
    reason: str = Field(description="of a failure; else empty")
    backend: str = Field(description="library that it runs on; empty while it is not loaded")
    device: str
    labels: list[str]
    threshold: float
    max_batch: int
    max_delay_ms: float
    capacity: int
    metrics: bool
    isolated: bool = Field(description="whether it runs in a process of its own")
    memory_bytes: int = Field(description="that its load took, host and device; an estimate")
    waiting: int = Field(description="requests in its queue")
    rejected: int = Field(description="requests refused because the queue was full")
    images: int
    errors: int
    images_per_s: float = Field(description="over the last minute")


class ModelAnswer(Answer):
    """Answer about one model."""

    model: ModelOut


class ModelsAnswer(Answer):
    """Answer of ``GET /models``."""

    models: list[ModelOut]
    default_model: str | None = Field(description="answers requests that name none")


class SpreadOut(BaseModel):
    """Distribution of the most recent calls."""

    count: int
    mean: float
    min: float
    max: float
    p50: float
    p95: float


class StatsAnswer(Answer):
    """Answer of ``GET /models/{name}/stats``; counts are since the model was loaded."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    images: int = Field(description="answered without error")
    errors: int
    calls: int = Field(description="batches")
    images_per_s: float = Field(description="over the last minute")
    phases_ms: dict[str, SpreadOut] = Field(
        description="of one call: preprocess, inference, postprocess"
    )
    batch: SpreadOut = Field(description="images per call")


class WarmupAnswer(Answer):
    """Answer of ``POST /models/{name}/warmup``."""

    model: str
    runs: int
    seconds: float = Field(description="of the last run")


class ModelHealth(BaseModel):
    """Answer of ``/health``."""

    status: Literal["healthy", "degraded", "unavailable"]
    message: str
    timestamp: float = Field(description="Unix time, seconds")
    uptime: float = Field(description="seconds since the start")
    models: dict[str, str] = Field(description="state of each model")
