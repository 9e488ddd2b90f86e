"""Whether the ``sam6d`` backend can run here. Imports no torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from sam6d_ros.config_sam6d import Sam6dConfig
from sam6d_ros.errors import BackendUnavailable
from sam6d_ros.models import weights

LIBRARIES = ("torch", "segment_anything")


def obstacle(weights_dir: Path | None, settings: Sam6dConfig) -> str:
    """Why the backend cannot run, with the remedy; empty when it can."""
    lacking = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if lacking:
        return (
            f"{' and '.join(lacking)} not installed (make setup-sam6d, or pip install '.[sam6d]')"
        )
    if weights_dir is None:
        return "no weights folder is configured (weights_dir)"
    absent = weights.missing(weights_dir, settings.sam_variant)
    if absent:
        return f"{weights_dir} lacks {', '.join(absent)} (sam6d weights fetch)"
    return ""


def require(weights_dir: Path | None, settings: Sam6dConfig) -> Path:
    """The weights folder.

    Raises:
        BackendUnavailable: something is missing; the message says what and what to do.
    """
    reason = obstacle(weights_dir, settings)
    if reason or weights_dir is None:
        raise BackendUnavailable(f"the sam6d backend cannot run: {reason}")
    return weights_dir


def choose_backend(
    backend: str, weights_dir: Path | None, settings: Sam6dConfig
) -> tuple[str, str]:
    """The backend that "auto" means here, and a sentence that says why, for log and diagnostics.

    Raises:
        BackendUnavailable: "sam6d" was asked for by name and cannot run.
    """
    if backend == "geometric":
        return backend, "backend geometric, as configured"
    reason = obstacle(weights_dir, settings)
    if backend == "sam6d":
        require(weights_dir, settings)
        return backend, "backend sam6d, as configured"
    if reason:
        return "geometric", f"backend geometric, because sam6d cannot run: {reason}"
    return "sam6d", f"backend sam6d: its weights are in {weights_dir}"
