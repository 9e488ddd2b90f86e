"""Settings of the pipeline: frozen dataclasses, handed in by the shell (CLI, node, test)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sam6d_ros.config_sam6d import Sam6dConfig
from sam6d_ros.errors import InvalidConfig

BACKENDS = ("auto", "sam6d", "geometric")


@dataclass(frozen=True)
class PipelineConfig:
    """What the pipeline runs.

    Attributes:
        backend: "auto" (sam6d when its checkpoints are present, else geometric), "sam6d" or
            "geometric".
        device: "auto", "cpu" or "cuda[:N]"; used by sam6d only.
        weights_dir: folder of the released checkpoints, or None.
        min_score: poses that score lower are rejected (an object may override it).
        max_instances: most instances of one object that are looked for.
        sam6d: how the networks are run; used by sam6d only.
    """

    backend: str = "auto"
    device: str = "auto"
    weights_dir: Path | None = None
    min_score: float = 0.5
    max_instances: int = 3
    sam6d: Sam6dConfig = field(default_factory=Sam6dConfig)

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise InvalidConfig(f"backend {self.backend!r} is unknown; expected one of {BACKENDS}")
        if not 0 <= self.min_score <= 1:
            raise InvalidConfig(f"min_score {self.min_score} is not in [0, 1]")
        if self.max_instances < 1:
            raise InvalidConfig(f"max_instances {self.max_instances} must be at least 1")
