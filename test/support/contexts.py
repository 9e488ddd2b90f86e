"""Build contexts for tests of single stages, and engines with objects."""

from __future__ import annotations

from pathlib import Path

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.config import PipelineConfig
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectChange, apply_change
from sam6d_ros.stages.library import BuildContext


def context(cache_dir: Path | None = None) -> BuildContext:
    """Return a context with a library of its own."""
    return BuildContext(PipelineConfig(), cache_dir)


def add(engine: Engine, model: ObjectModel, settings: ObjectSettings | None = None) -> None:
    """Have an engine look for an object."""
    apply_change(engine, ObjectChange.add(model))
    if settings is not None:
        apply_change(engine, ObjectChange(settings={model.name: settings}))
