"""For pip; all but the files beside the code is declared in pyproject.toml.

ROS builds use CMakeLists.txt, which installs these files to the share folder.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ("config", "launch")  # go to sam6d_ros/share/ of a wheel, see apps/resources.py


class BuildWithShare(build_py):
    """Build the package with configuration, objects template and launch files inside."""

    def run(self) -> None:
        """Build the modules, then copy the folders; an editable install has them in its clone."""
        super().run()
        if self.editable_mode:
            return
        for folder in SHIPPED:
            target = Path(self.build_lib, "sam6d_ros", "share", folder)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / folder, target, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithShare})
