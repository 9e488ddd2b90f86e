"""Files that the package ships beside its Python code."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory


def shipped(relative: str) -> Path | None:
    """A file such as ``config/fastdds.xml``, from the source folder or the install space."""
    roots = [Path(__file__).resolve().parents[3]]
    with suppress(PackageNotFoundError):
        roots.append(Path(get_package_share_directory("sam6d_ros")))
    return next((root / relative for root in roots if (root / relative).is_file()), None)
