"""Environment: read by the shells alone, by one function for each shared variable."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import sam6d_ros
from sam6d_ros.apps.environment import allow_openexr, default_cache_dir

PACKAGE = Path(sam6d_ros.__file__).parent
OF_THE_SHELLS = PACKAGE / "apps"
READERS = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv", "expandvars"}


def readers(source: str) -> Iterator[int]:
    """Lines that read or set the environment of the process."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            names = {node.attr} if isinstance(node.value, ast.Name | ast.Attribute) else set()
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "os.path"):
            names = {name.name for name in node.names}
        else:
            continue
        if names & READERS:
            yield node.lineno


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.environ['A']",
        "import os as system; system.getenv('A')",
        "from os import environ as values",
        "import os; os.path.expandvars('$A')",
    ],
)
def test_every_way_to_the_environment_is_seen(line):
    assert list(readers(line)) == [1]
    assert not list(readers("def run(environ): return environ['A']"))


def test_nothing_below_the_shells_reads_the_environment():
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if OF_THE_SHELLS not in path.parents
        for line in readers(path.read_text())
    ]
    assert not found, "pass the value from the shell (docs/architecture.md)"


def test_the_default_folder_follows_xdg(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", os.sep + "elsewhere")
    assert default_cache_dir() == Path(os.sep, "elsewhere", "sam6d_ros")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache" / "sam6d_ros"


def test_a_value_of_the_user_stays(monkeypatch):
    monkeypatch.setenv("OPENCV_IO_ENABLE_OPENEXR", "0")
    allow_openexr()
    assert os.environ["OPENCV_IO_ENABLE_OPENEXR"] == "0"
    monkeypatch.delenv("OPENCV_IO_ENABLE_OPENEXR")
    allow_openexr()
    assert os.environ["OPENCV_IO_ENABLE_OPENEXR"] == "1"
