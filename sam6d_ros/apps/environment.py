"""Environment variables that all shells share; below ``apps`` nothing reads the environment."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """Return ``$XDG_CACHE_HOME/sam6d_ros``, or ``~/.cache/sam6d_ros``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "sam6d_ros"


def allow_openexr() -> None:
    """Let OpenCV read OpenEXR files; call in ``main``: OpenCV decides at the first such file.

    It is off by default for the decoder's sake (OpenCV issue 21326). Depth images are the user's
    own files. A value that the user set stays.
    """
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
