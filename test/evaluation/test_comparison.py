"""The comparison with a previous release runs that release's own files."""

import sys
from pathlib import Path

import pytest

from benchmarks import compare


def test_a_command_runs_the_package_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "sam6d_ros"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "errors.py").write_text("print('previous release')\n")
    monkeypatch.chdir(compare.REPO)
    compare.call(sys.executable, "-m", "sam6d_ros.errors", source=tmp_path)
    assert "previous release" in "".join(capfd.readouterr())
