"""Values that travel to the machines of a fleet: what is worked with, and single frames.

Files are named by their path: a dataset lies under the same path on every machine (a shared file
system). A frame that has no file, such as one of a bag, travels itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.config import PipelineConfig
from sam6d_ros.detectors.model import DEFAULT_THRESHOLD
from sam6d_ros.errors import InvalidFrame, InvalidInput
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.frames import load_frame
from sam6d_ros.stages.backends import AUTO, choose_backend
from sam6d_ros.types import Frame


class FrameSource(Protocol):
    """Place of a frame."""

    def load(self) -> Frame:
        """Return the frame.

        Raises:
            InvalidInput: its files are missing or unusable.
        """


@dataclass(frozen=True)
class ShippedFrame:
    """Frame that travels with its task."""

    frame: Frame

    def load(self) -> Frame:
        """Return the frame."""
        return self.frame


@dataclass(frozen=True)
class UnusableFrame:
    """Frame that could not be made, with the reason; it fails where it is loaded."""

    reason: str

    def load(self) -> Frame:
        """Raise the reason."""
        raise InvalidFrame(self.reason)


@dataclass(frozen=True)
class FrameFiles:
    """Frame in files; see ``frames.load_frame``."""

    rgb: Path
    depth: Path
    camera: Path

    def load(self) -> Frame:
        """Read the frame."""
        return load_frame(self.rgb, self.depth, self.camera)


@dataclass(frozen=True)
class BopImage:
    """Image of a dataset in BOP format; see ``evaluation.bop.BopDataset``."""

    root: Path
    split: str | None
    sensor: str | None
    scene_id: int
    im_id: int

    def load(self) -> Frame:
        """Read the frame."""
        return self._dataset.frame(self.scene_id, self.im_id)

    def truth(self) -> tuple[GroundTruth, ...] | None:
        """Return the annotated instances; None without annotation."""
        return self._dataset.ground_truth(self.scene_id, self.im_id)

    @property
    def _dataset(self) -> BopDataset:
        return _opened(self.root, self.split, self.sensor)


@lru_cache(maxsize=2)
def _opened(root: Path, split: str | None, sensor: str | None) -> BopDataset:
    """Return a dataset, opened once per process."""
    return BopDataset(root, split, sensor)


@dataclass(frozen=True)
class FrameTask:
    """One frame to work on.

    Attributes:
        key: unique in the run.
        source: place of the frame.
        names: objects to search; None for all.
    """

    key: str
    source: FrameSource
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Work:
    """Values from which an engine is built on another machine; the objects travel onboarded.

    Attributes:
        config: settings of the pipeline, with the name of the backend.
        cache_dir: folder of what is prepared of the objects, on each machine; None for none.
        models, settings: of the objects.
        keep_all: whether estimates below the threshold are kept.
        with_masks: whether masks are kept.
        detector: source of the 2D detector in front, on each machine; empty for none.
        detector_threshold: lowest score of a box.
        truth_names: name of each object by its number, to search in the boxes of the ground truth;
            None to search elsewhere too.
    """

    config: PipelineConfig
    cache_dir: Path | None = None
    models: tuple[ObjectModel, ...] = ()
    settings: Mapping[str, ObjectSettings] = field(default_factory=dict)
    keep_all: bool = False
    with_masks: bool = False
    detector: str = ""
    detector_threshold: float = DEFAULT_THRESHOLD
    truth_names: Mapping[int, str] | None = None

    def __post_init__(self) -> None:
        if self.detector and self.truth_names is not None:
            raise InvalidInput("--detector and --boxes exclude each other; state one of them")
        # Copies do not carry what was derived from a model, such as its scene for ray casting.
        object.__setattr__(self, "models", tuple(replace(model) for model in self.models))
        if self.config.backend == AUTO:  # one machine decides for all
            named = replace(self.config, backend=choose_backend(self.config).name)
            object.__setattr__(self, "config", named)

    def statement(self) -> dict[str, Any]:
        """Return what results depend on, as JSON values: equal statements give equal results."""
        config = self.config
        return {
            "backend": config.backend,
            "backend options": config.backend_options,
            "minimum score": config.min_score,
            "instances": config.max_instances,
            "objects": [[model.name, model.content_hash] for model in self.models],
            "settings": _digest(sorted((n, repr(s)) for n, s in self.settings.items())),
            "detector": [self.detector, self.detector_threshold] if self.detector else [],
            "boxes of the ground truth": self.truth_names is not None,
            "masks": self.with_masks,
        }


def _digest(values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]
