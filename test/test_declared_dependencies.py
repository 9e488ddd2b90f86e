"""The core runs with the declared dependencies alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CORE = Path(__file__).parent / "support/declared_core.py"


def test_meshes_become_objects_and_poses_without_undeclared_packages(tmp_path):
    """Every other installed package is hidden, as on a machine that does not have it."""
    command = [sys.executable, str(CORE), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=CORE.parents[1])
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == "done"
