"""Create and refresh the virtual environment `.venv`; called by the Makefile.

    python3 scripts/setup_venv.py [EXTRA …]

Installs this package editable with the named extras of pyproject.toml, puts the Python packages
of `underlay/` on the path, and builds the messages. Needs nothing but the standard library and
is done in a moment when nothing changed: each step has a stamp with a hash of its inputs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import check_system

REPO = Path(__file__).resolve().parent.parent
VENV = REPO / ".venv"
STAMPS = VENV / "stamps"
PYTHON = VENV / "bin/python"
UNDERLAY_PYTHON = ("cv_bridge", "message_filters", "tf2_ros")
# Run by Python at its start: append the environment to the places where ament looks.
AMENT_INDEX_LINE = (
    "import os, sys; os.environ['AMENT_PREFIX_PATH'] = os.pathsep.join(dict.fromkeys("
    "[p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p] + [sys.prefix]))"
)


def requirements_hash(extra: str) -> str:
    """Return a hash of what decides an installation: project tables of pyproject.toml, Python.

    Tool settings (ruff, pytest, …) are in the same file and must not cause an installation.
    """
    text = (REPO / "pyproject.toml").read_text()
    tables = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    kept = [t for t in tables if re.match(r"\[(project|build-system|tool\.setuptools)", t)]
    return hashlib.sha256("".join([sys.version, extra, *kept]).encode()).hexdigest()


def child_env() -> dict[str, str]:
    """Return the variables for the venv's Python, without those of another environment.

    The ROS wheels skip setting LD_LIBRARY_PATH when their guard variable is inherited.
    """
    dropped = {"_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"}
    return {k: v for k, v in os.environ.items() if k not in dropped}


def run(*command: str | Path) -> None:
    """Run one step from the repository root and stop when it fails."""
    code = subprocess.run(command, cwd=REPO, env=child_env()).returncode
    if code:
        sys.exit(f"Set-up stopped: `{' '.join(map(str, command))}` ended with status {code}.")


def same_python() -> bool:
    """Whether the existing environment was made by the Python that runs this script."""
    stamp = STAMPS / "python"
    return PYTHON.exists() and stamp.exists() and stamp.read_text() == sys.version


def make_environment() -> None:
    """Create `.venv`, or make it anew when it belongs to another Python."""
    if same_python():
        return
    import venv  # after check_system, which names what to install where there is none

    print(f"creating {VENV.name} with Python {sys.version.split()[0]} …", flush=True)
    venv.create(VENV, clear=VENV.exists(), with_pip=True)
    STAMPS.mkdir()
    (STAMPS / "python").write_text(sys.version)


def install(extras: list[str]) -> None:
    """Install this package editable with `extras`, when the requirements of one changed."""
    stamps = {STAMPS / f"requirements-{extra}": requirements_hash(extra) for extra in extras}
    if all(stamp.exists() and stamp.read_text() == wanted for stamp, wanted in stamps.items()):
        return
    print(f"installing requirements [{', '.join(extras)}] …", flush=True)
    quiet = ["--quiet", "--disable-pip-version-check", "--no-warn-script-location"]
    # All in one, so that pip finds versions that suit every extra.
    run(PYTHON, "-m", "pip", "install", *quiet, "--editable", f".[{','.join(extras)}]")
    for stamp, wanted in stamps.items():
        stamp.write_text(wanted)


def add_underlay_to_path() -> None:
    """Write the path file that makes the environment look like a sourced distribution.

    The Python packages of `underlay/` become importable, and the ament index is found, so that
    `get_package_share_directory("sam6d_ros")` answers here as it does after `colcon build`.
    """
    lines = [str(REPO / "underlay" / name) for name in UNDERLAY_PYTHON] + [AMENT_INDEX_LINE]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    path_file = VENV / "lib" / version / "site-packages/sam6d_ros_underlay.pth"
    text = "\n".join(lines) + "\n"
    if not path_file.exists() or path_file.read_text() != text:
        path_file.write_text(text)
    for name in ("config", "launch"):
        link = VENV / "share/sam6d_ros" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(REPO / name)


def drop_stale_kernels() -> None:
    """Remove compiled loops when one of their sources has changed.

    numba notices a change in a function's own file, but not in functions of other files that it
    calls.
    """
    digest = hashlib.sha256()
    for path in sorted((REPO / "sam6d_ros").rglob("*.py")):
        source = path.read_bytes()
        if b"njit" in source:
            digest.update(source)
    stamp = STAMPS / "kernels"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    for compiled in (REPO / "sam6d_ros").rglob("__pycache__/*.nb?"):
        compiled.unlink()
    stamp.write_text(digest.hexdigest())


def main(extras: list[str]) -> None:
    """Bring the environment up to date for `extras`; a second call waits for the first."""
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        set_up(extras)


def set_up(extras: list[str]) -> None:
    """Do the steps whose stamps are out of date."""
    if not same_python():
        check_system.main()
    make_environment()
    install(extras)
    drop_stale_kernels()
    if "ros-wheels" in extras:
        add_underlay_to_path()
        run(PYTHON, "scripts/build_interfaces.py")


if __name__ == "__main__":
    main(sys.argv[1:])
