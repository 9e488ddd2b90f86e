"""Environment variables that all shells share; below ``apps`` nothing reads the environment."""

from __future__ import annotations

import os
from pathlib import Path

from sam6d_ros.errors import InvalidConfig


def default_cache_dir() -> Path:
    """Return ``$XDG_CACHE_HOME/sam6d_ros``, or ``~/.cache/sam6d_ros``.

    Raises:
        InvalidConfig: there is no home folder. A folder in /tmp would be another user's to fill.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "sam6d_ros"
    except RuntimeError as error:
        raise InvalidConfig(
            f"HOME is not set and user {os.getuid()} has no home folder; set HOME or "
            "XDG_CACHE_HOME to a folder of this user"
        ) from error


def allow_openexr() -> None:
    """Let OpenCV read OpenEXR files; call in ``main``: OpenCV decides at the first such file.

    It is off by default for the decoder's sake (OpenCV issue 21326). Depth images are the user's
    own files. A value that the user set stays.
    """
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")


def share_folder(package: str) -> Path:
    """Return the share folder of a ROS package: ``package://`` without ROS's libraries.

    The ament index is a file per package below each prefix of ``AMENT_PREFIX_PATH``
    (ament/ament_cmake, ament_cmake_core/doc/resource_index.md).

    Raises:
        LookupError: no prefix has the package.
    """
    prefixes = [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
    for prefix in prefixes:
        if (prefix / "share/ament_index/resource_index/packages" / package).is_file():
            return prefix / "share" / package
    raise LookupError("AMENT_PREFIX_PATH has no prefix with it")


def prepare_ray() -> None:
    """Set Ray's variables before it is imported; values that the user set stay.

    Ray protects a cluster that it starts by a token, but sends none by default. It also
    reports its use to its makers by default.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def worker_environment() -> dict[str, str]:
    """Return the variables that a worker on another machine needs as this process does."""
    names = ("OMP_WAIT_POLICY", "OPENCV_IO_ENABLE_OPENEXR")
    return {name: os.environ[name] for name in names if name in os.environ}
