"""Files that the package ships beside its Python code: configuration, template, launch files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def shipped(relative: str) -> Path | None:
    """A file such as ``config/fastdds.xml``: of a clone, of a wheel, or of the install space."""
    roots = [PACKAGE.parent, PACKAGE / "share"]
    with suppress(ModuleNotFoundError):  # a wheel needs no ROS
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

        with suppress(PackageNotFoundError):
            roots.append(Path(get_package_share_directory("sam6d_ros")))
    return next((root / relative for root in roots if (root / relative).is_file()), None)
