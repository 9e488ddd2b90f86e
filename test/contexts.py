"""Build contexts for tests of single stages."""

from __future__ import annotations

from pathlib import Path

from sam6d_ros.config import PipelineConfig
from sam6d_ros.stages.library import BuildContext


def context(cache_dir: Path | None = None) -> BuildContext:
    """Return a context with a library of its own."""
    return BuildContext(PipelineConfig(), cache_dir)
