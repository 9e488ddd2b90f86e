"""The notebook runs from its first to its last cell."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow  # starts a kernel, searches in an image

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples/first_pose.ipynb"


def outputs(cell):
    return cell.get("outputs", [])


def test_the_notebook_is_stored_without_results():
    assert not [c for c in nbformat.read(NOTEBOOK, as_version=4).cells if outputs(c)]


def test_the_notebook_finds_the_object_and_shows_it(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    shown = [output for cell in notebook.cells for output in outputs(cell)]
    texts = [output.get("data", {}).get("text/plain", "") for output in shown]
    assert any(re.search(r"<obj_000001_0 score=0\.[5-9]", text) for text in texts), texts
    assert sum("image/png" in output.get("data", {}) for output in shown) == 2
