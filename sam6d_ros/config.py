"""Settings of the pipeline: frozen dataclasses, handed in by the shell (CLI, node, test)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sam6d_ros.errors import InvalidConfig


@dataclass(frozen=True)
class PipelineConfig:
    """Settings of the pipeline.

    Attributes:
        backend: name of a backend (see ``stages.backends``), or "auto": the first that can run
            here, "sam6d" before "geometric".
        backend_options: options in the words of the backend, or empty.
        device: "auto", "cpu" or "cuda[:N]"; for backends that run networks.
        weights_dir: folder of the released checkpoints, or None.
        min_score: poses that score lower are not returned (an object may state its own), in
            [0, 1]; None takes the default of the backend.
        max_instances: most instances of one object that are looked for (likewise).
        budget_s: seconds of one frame after which no search for a further object begins; the most
            likely objects are searched first, and the result names those that were not searched.
            None for no limit. Only the geometric backend keeps it.
    """

    backend: str = "auto"
    backend_options: str = ""
    device: str = "auto"
    weights_dir: Path | None = None
    min_score: float | None = None
    max_instances: int = 3
    budget_s: float | None = None

    def __post_init__(self) -> None:
        if self.budget_s is not None and not self.budget_s > 0:
            raise InvalidConfig(f"budget_s is {self.budget_s}; expected a number above 0")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise InvalidConfig(f"min_score {self.min_score} is not in [0, 1]")
        if self.max_instances < 1:
            raise InvalidConfig(f"max_instances {self.max_instances} must be at least 1")


@dataclass(frozen=True)
class TrackingConfig:
    """Settings of tracking between full estimates.

    Attributes:
        confirm_score: a tracked pose that scores lower is not confirmed by the frame.
        coast_s: an instance that no frame confirms coasts so long, then it is lost.
        reidentify_s: an instance found within so long after its loss, near its last place,
            is re-identified: it gets its name back.
        reidentify_radius: how near, in diameters of the object.
        max_missed: an instance that so many full estimates in a row do not contain, though it was
            in plain view, is lost; 0 keeps it.
        buffer_s: how old a frame may be whose full estimate still starts or corrects a track.
        buffer_hz: frames kept per second for that (at a quarter of the pixels of 640 × 480).
    """

    confirm_score: float = 0.45
    coast_s: float = 1.5
    reidentify_s: float = 30.0
    reidentify_radius: float = 1.0
    max_missed: int = 3
    buffer_s: float = 20.0
    buffer_hz: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.confirm_score <= 1:
            raise InvalidConfig(f"confirm_score {self.confirm_score} is not in [0, 1]")
        for name in ("coast_s", "reidentify_s", "reidentify_radius", "max_missed", "buffer_s"):
            if getattr(self, name) < 0:
                raise InvalidConfig(f"{name} {getattr(self, name)} must not be negative")
        if self.buffer_hz <= 0:
            raise InvalidConfig(f"buffer_hz {self.buffer_hz} must be positive")
