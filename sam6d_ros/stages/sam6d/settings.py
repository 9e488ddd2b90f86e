"""Settings of the ``sam6d`` backend; every default is SAM-6D's unless said otherwise."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sam6d_ros.errors import InvalidConfig

SAM_VARIANTS = ("vit_h", "vit_l", "vit_b")
COMPAT_MODES = ("fixed", "legacy")
PRECISIONS = ("auto", "float32", "bf16", "fp16")
MAX_VIEWS = 42
PRESETS: dict[str, dict[str, Any]] = {  # FLOPs of proposals counted; their accuracy is not measured
    "quality": {"sam_variant": "vit_h", "points_per_side": 32},
    "balanced": {"sam_variant": "vit_l", "points_per_side": 32},
    "fast": {"sam_variant": "vit_b", "points_per_side": 16, "memory_budget_mb": 2048},
}
_SHARES = ("min_predicted_iou", "min_stability", "box_nms_iou", "min_detection_score")


@dataclass(frozen=True)
class Sam6dConfig:
    """Settings of the networks.

    Attributes:
        preset: "quality", "balanced" or "fast". :meth:`parse` takes the settings of ``PRESETS``
            from it where they are not given themselves.
        sam_variant: size of the segmentation network.
        compat: "legacy" repeats the original's script for own data (templates not normalised, no
            suppression of duplicates, one missed overlap zeroes every geometric score);
            "fixed" does there what its benchmark code does.
        precision: of the image encoders and SAM's mask decoder: "auto" is bf16 on GPUs that
            have it, else float32. Geometry and matching always stay in float32.
        memory_budget_mb: bounds what is processed at once (weights not counted).
        points_per_side: SAM prompts on a side of the grid.
        points_per_batch: prompts at once, 0 = by the memory budget; on the CPU at most four,
            where more gain nothing.
        detections_per_batch: detections for which poses are found at once, 0 likewise.
        min_predicted_iou: SAM's own estimate of a mask's quality.
        min_stability: IoU of a mask cut at a higher and a lower level; the original's script
            for own data, its benchmark code uses 0.85.
        box_nms_iou: proposals that overlap more are duplicates.
        segment_width: images are resized to this width for SAM, 0 = as they are.
        views: template views of the 42.
        min_detection_score: detections that score so much or lower get no pose; a limit on
            detections, no second ``min_score`` (docs/conventions.md).
        final_icp: run the geometric backend's refinement and verification as a last step.
        compile: torch.compile the image encoders (slow first call).
        seed: of the random draws.
    """

    preset: str = "quality"
    sam_variant: str = "vit_h"
    compat: str = "fixed"
    precision: str = "auto"
    memory_budget_mb: int = 4096
    points_per_side: int = 32
    points_per_batch: int = 0
    detections_per_batch: int = 0
    min_predicted_iou: float = 0.88
    min_stability: float = 0.97
    box_nms_iou: float = 0.7
    segment_width: int = 640
    views: int = MAX_VIEWS
    min_detection_score: float = 0.2  # --det_score_thresh of run_inference_custom.py
    final_icp: bool = False
    compile: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        _check_choice("preset", self.preset, tuple(PRESETS))
        _check_choice("sam_variant", self.sam_variant, SAM_VARIANTS)
        _check_choice("compat", self.compat, COMPAT_MODES)
        _check_choice("precision", self.precision, PRECISIONS)
        _check_range("memory_budget_mb", self.memory_budget_mb, 64, 1_000_000)
        _check_range("points_per_side", self.points_per_side, 1, 256)
        _check_range("points_per_batch", self.points_per_batch, 0, 65536)
        _check_range("detections_per_batch", self.detections_per_batch, 0, 4096)
        _check_range("segment_width", self.segment_width, 0, 8192)
        _check_range("views", self.views, 1, MAX_VIEWS)
        for name in _SHARES:
            _check_range(name, getattr(self, name), 0, 1)

    @classmethod
    def parse(cls, text: str) -> Sam6dConfig:
        """Parse settings from ``name=value`` words, such as ``"compat=legacy views=21"``.

        Args:
            text: the words.

        Returns:
            The settings.

        Raises:
            InvalidConfig: an unknown name, or a value of another type or out of its range.
        """
        defaults = {field.name: field.default for field in fields(cls)}
        values: dict[str, Any] = {}
        for word in text.split():
            name, equals, value = word.partition("=")
            if not equals or name not in defaults:
                known = ", ".join(defaults)
                raise InvalidConfig(f"{word!r} is no sam6d option; expected name=value of {known}")
            values[name] = _typed(name, value, type(defaults[name]))
        return cls(**PRESETS.get(values.get("preset", ""), {}) | values)

    @property
    def legacy(self) -> bool:
        """Whether the original's slips are repeated."""
        return self.compat == "legacy"


def _typed(name: str, value: str, kind: type) -> Any:
    """The value as the type of its default."""
    words = {"true": True, "false": False}
    try:
        return words[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError):
        expected = "true or false" if kind is bool else kind.__name__
        raise InvalidConfig(f"{name} is {value!r}; expected {expected}") from None


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidConfig(f"{name} is {value!r}; expected one of {', '.join(allowed)}")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidConfig(f"{name} is {value}; expected {low} to {high}")
