"""The virtual environment of the compared libraries, made when its requirements change."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import venv
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
REQUIREMENTS = Path(__file__).with_name("requirements-peers.txt")
ENVIRONMENT = REPO / ".venv-bench"
PYTHON = ENVIRONMENT / "bin/python"


def ensure() -> Path:
    """The environment's Python, ready to use."""
    stamp = ENVIRONMENT / "requirements.sha256"
    project = (REPO / "pyproject.toml").read_text()
    own = re.findall(r"^dependencies = \[.*?^\]", project, re.MULTILINE | re.DOTALL)
    inputs = [sys.version, REQUIREMENTS.read_text(), *own]
    wanted = hashlib.sha256("".join(inputs).encode()).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == wanted):
        print(f"creating {ENVIRONMENT.name} (about 1 GB) …", file=sys.stderr, flush=True)
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        pip("install", "--editable", str(REPO))  # with what it needs to read frames and models
        pip("uninstall", "--yes", "opencv-python-headless")  # the contrib build takes its place
        pip("install", "--requirement", str(REQUIREMENTS))
        stamp.write_text(wanted)
    return PYTHON


def pip(command: str, *arguments: str) -> None:
    """Run pip of the environment quietly; stop when it fails."""
    options = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([PYTHON, "-m", "pip", command, *options, *arguments], check=True)
