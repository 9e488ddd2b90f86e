"""Facts about a detector that its model file does not state: input size, colours, names, layout.

Stored as `detector.json` beside the model, and as a parameter of the same name in `config.pbtxt`,
so that a client of a Triton server reads it from there.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam6d_ros.detectors.labels import COCO_91, read_labels
from sam6d_ros.errors import InvalidConfig

FILE_NAME = "detector.json"
FITS = ("keep", "stretch", "corner", "center")
ORDERS = ("rgb", "bgr")
LAYOUTS = ("boxes", "masks", "yolov8", "yolox")


@dataclass(frozen=True)
class InputSpec:
    """Form of the input tensor.

    Attributes:
        size_hw: height and width in pixels, or None where the model takes any.
        fit: `keep` the size (padded right and below to `multiple`), `stretch` to `size_hw`, or
            keep the aspect ratio and put the image into the `corner` or the `center`.
        multiple: of which height and width must be multiples, with `keep`.
        scale: factor of the values 0 to 255, before `mean` and `std`.
        mean: subtracted per channel, after `scale`.
        std: divisor per channel.
        order: of the channels, `rgb` or `bgr`.
        pad: value of padded pixels, 0 to 255.
    """

    size_hw: tuple[int, int] | None = None
    fit: str = "keep"
    multiple: int = 1
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    order: str = "rgb"
    pad: float = 0.0

    def __post_init__(self) -> None:
        _one_of("fit", self.fit, FITS)
        _one_of("order", self.order, ORDERS)
        if (self.fit == "keep") != (self.size_hw is None):
            raise InvalidConfig(
                f"`fit` is '{self.fit}' and `size_hw` {self.size_hw}; 'keep' goes without a size, "
                "the others need one"
            )
        if self.size_hw is not None and (len(self.size_hw) != 2 or min(self.size_hw) < 1):
            raise InvalidConfig(f"`size_hw` is {self.size_hw}; expected (height, width), pixels")
        if self.multiple < 1 or self.scale <= 0 or min(self.std) <= 0:
            raise InvalidConfig("`multiple`, `scale` and `std` must be positive")
        if len(self.mean) != 3 or len(self.std) != 3:
            raise InvalidConfig("`mean` and `std` have one value per channel")


@dataclass(frozen=True)
class Manifest:
    """Description of a detector for its clients.

    Attributes:
        name: of the model, as Triton's folder.
        labels: class names; the place is the number that the model returns.
        input: form of the input tensor.
        layout: `boxes` (corners in input pixels, numbers, scores: three outputs), `masks` (these,
            and the probability of each pixel of the input: four outputs), `yolov8`
            (4 + C rows: centre, size, class scores) or `yolox` (rows of offset, logarithmic size,
            objectness, class scores on grids of 8, 16 and 32 pixels).
        nms_iou: overlap from which the weaker box of one class is dropped, or None where the
            model does so itself.
        max_batch: largest number of images in one call; 1 where the model has no batch axis of
            variable length.
        attribution: authors and licence of the weights.
    """

    name: str
    labels: tuple[str, ...] = COCO_91
    input: InputSpec = field(default_factory=InputSpec)
    layout: str = "boxes"
    nms_iou: float | None = None
    max_batch: int = 1
    attribution: str = ""

    def __post_init__(self) -> None:
        _one_of("layout", self.layout, LAYOUTS)
        if not self.labels:
            raise InvalidConfig(f"detector '{self.name}' has no labels")
        if self.nms_iou is not None and not 0 < self.nms_iou <= 1:
            raise InvalidConfig(f"`nms_iou` is {self.nms_iou}; expected a number in (0, 1]")
        if self.layout == "yolox" and self.input.size_hw is None:
            raise InvalidConfig("the layout 'yolox' needs `size_hw`: its grids depend on it")
        if self.max_batch < 1:
            raise InvalidConfig(f"`max_batch` is {self.max_batch}; expected 1 or more")

    def to_json(self) -> str:
        """Return the manifest as text that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str, source: str) -> Manifest:
        """Parse a manifest.

        Args:
            text: as `to_json` writes it; `labels` may also be the name of a label set.
            source: file or address, for the error text.

        Returns:
            The manifest.

        Raises:
            InvalidConfig: no JSON, an unknown field, or a value out of its range.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            form = {key: _frozen(value) for key, value in values.pop("input", {}).items()}
            labels = values.pop("labels", COCO_91)
            values["labels"] = read_labels(labels) if isinstance(labels, str) else tuple(labels)
            return cls(input=InputSpec(**form), **values)
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidConfig(f"{source} describes no detector: {error}") from error


def read_manifest(folder: Path) -> Manifest:
    """Read `detector.json` of a model's folder.

    Returns:
        The manifest.

    Raises:
        InvalidConfig: the file is missing or unusable.
    """
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidConfig(
            f"cannot read {path} ({error.strerror}); it states the input size and the labels of "
            "the model, see docs/detectors.md"
        ) from error
    return Manifest.from_json(text, str(path))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidConfig(f"`{name}` is '{value}'; expected one of {', '.join(known)}")
