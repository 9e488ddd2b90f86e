"""Settings of one object that need no preparation: thresholds, limits, names for a detector."""

from __future__ import annotations

from dataclasses import dataclass

from sam6d_ros.errors import InvalidObjects


@dataclass(frozen=True)
class ObjectSettings:
    """Settings of one object; they may change while an engine runs.

    Attributes:
        min_score: poses of the object that score lower are not returned, in [0, 1]; None takes
            the common threshold.
        max_instances: largest number of instances of the object in one result, 1 or more; None
            takes the common limit.
        detector_classes: class names by which a 2D detector reports the object; none means the
            object's own name.

    Raises:
        InvalidObjects: a value is out of its range.
    """

    min_score: float | None = None
    max_instances: int | None = None
    detector_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise InvalidObjects(f"min_score is {self.min_score}; expected a number in [0, 1]")
        if self.max_instances is not None and self.max_instances < 1:
            raise InvalidObjects(f"max_instances is {self.max_instances}; expected 1 or more")
        if not all(self.detector_classes):
            raise InvalidObjects(
                f"detector_classes is {list(self.detector_classes)}; expected names, none empty"
            )
