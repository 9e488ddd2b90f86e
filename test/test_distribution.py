"""Wheel and source archive: complete, and a package that runs from its own files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="64")
pytest.importorskip("build.env")  # a folder build is a package too

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
BUILD = (sys.executable, "-m", "build", "--no-isolation", "--skip-dependency-check")
BESIDE = ("config", "launch")
INTERFACES = ("action", "msg", "srv")
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info", "build", "dist", "install", "log",
    "*_out", "data", "shared",
)  # fmt: skip


def run(*command: object, cwd: Path, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | variables
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_of(*folders: str) -> set[str]:
    """Paths of the repository's files in some folders."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = {path.relative_to(ROOT).as_posix() for path in paths}
    return {name for name in names if "__pycache__" not in name and not name.endswith(".pyc")}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The unpacked source archive of a copy of the repository."""
    folder = tmp_path_factory.mktemp("sdist")
    copy = folder / "copy"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT, symlinks=True)
    run(*BUILD, "--sdist", "--outdir", folder, copy, cwd=folder)
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as tar:
        tar.extractall(folder, filter="data")
    return folder / path.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(archive):
    """A wheel, built offline from the source archive."""
    run(*BUILD, "--wheel", "--outdir", archive.parent, archive, cwd=archive.parent)
    (path,) = archive.parent.glob("*.whl")
    return path


def test_the_source_archive_has_code_interfaces_files_and_tests(archive):
    found = {p.relative_to(archive).as_posix() for p in archive.rglob("*") if p.is_file()}
    wanted = files_of("sam6d_ros", *BESIDE, *INTERFACES, "docs")
    assert wanted - found == set()
    assert {"package.xml", "CMakeLists.txt", "LICENSE", "README.md", "test/conftest.py"} <= found


def test_the_wheel_has_code_pages_configuration_and_launch_files(wheel):
    """Configuration and launch files were missing."""
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
    shipped = {f"sam6d_ros/share/{name}" for name in files_of(*BESIDE)}
    assert (files_of("sam6d_ros") | shipped) - found == set()
    assert not [name for name in found if name.startswith(("test/", "config/", "launch/"))]


def test_an_installed_wheel_runs_from_its_own_files(wheel, tmp_path):
    target = tmp_path / "site"
    options = ("--no-deps", "--no-index", "-q", "--target", target)
    run(sys.executable, "-m", "pip", "install", wheel, *options, cwd=tmp_path)
    program = (
        "import sam6d_ros.apps.resources as r; print(r.__file__);"
        "[print(r.shipped(n)) for n in ('config/objects.yaml', 'config/fastdds.xml',"
        " 'launch/pipeline.launch.py')]"
    )
    for line in run(
        sys.executable, "-c", program, cwd=tmp_path, PYTHONPATH=str(target)
    ).splitlines():
        assert line.startswith(str(target)), line
    words = ("-m", "sam6d_ros.apps.cli.main", "--version")
    assert "sam6d_ros" in run(sys.executable, *words, cwd=tmp_path, PYTHONPATH=str(target))
