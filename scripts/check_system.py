"""Check that this machine has what `make setup` needs; name the package to install if not.

CMake and Ninja are not among it: they come from the Python package index like all the rest.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path

FIRST_PYTHON, LAST_PYTHON = (3, 10), (3, 13)


def problems() -> list[str]:
    """One sentence with its remedy for everything that is missing; empty when all is there."""
    found = []
    if not FIRST_PYTHON <= sys.version_info[:2] <= LAST_PYTHON:
        found.append(
            f"Python {platform.python_version()} is not supported (3.10 to 3.13 are). "
            "Install one of those and name it: make PYTHON=python3.12 …"
        )
    version = f"python3.{sys.version_info.minor}"
    if (sys.platform, platform.machine()) != ("linux", "x86_64") or not platform.libc_ver()[0]:
        found.append(
            f"The ROS wheels exist for Linux with glibc on x86_64, not for {sys.platform} "
            f"{platform.machine()}. Use the Dockerfile or a ROS 2 distribution (see README)."
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        found.append(
            f"`python3 -m venv` does not work. Debian/Ubuntu: sudo apt install {version}-venv"
        )
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        found.append(
            f"The Python headers are missing. Debian/Ubuntu: sudo apt install {version}-dev"
        )
    compilers = (os.environ.get("CC", "cc"), os.environ.get("CXX", "c++"))
    if not all(shutil.which(c.split()[0]) for c in compilers):
        found.append(
            f"No C and C++ compiler ({', '.join(compilers)}) on PATH. "
            "Debian/Ubuntu: sudo apt install build-essential"
        )
    return found


def main() -> None:
    """Exit with the list of problems, if there is any."""
    found = problems()
    if found:
        sys.exit("Set-up cannot go on:\n" + "\n".join(f"  * {problem}" for problem in found))


if __name__ == "__main__":
    main()
