"""The website of `make docs` builds without a warning and has the API reference."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocstrings", reason="needs make setup-test")

pytestmark = pytest.mark.slow

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; mkdocs.yml makes every warning an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    run = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr
    return folder


def test_every_page_of_the_repository_is_in_the_site(site):
    pages = {path.stem for path in (REPO / "docs").glob("*.md")}
    assert pages | {"index"} <= {path.stem for path in site.glob("*.html")}


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("api", "sam6d_ros.apps.api.load_objects"),
        ("geometry", "sam6d_ros.geometry.se3.exp"),
        ("types", "sam6d_ros.types.poses.PoseEstimates"),
        ("cad", "sam6d_ros.cad.onboard.onboard"),
        ("stages", "sam6d_ros.stages.protocols.Proposer"),
        ("pipeline", "sam6d_ros.pipeline.RunContext"),
        ("runtime", "sam6d_ros.runtime.build.build_engine"),
    ],
)
def test_the_reference_has_what_the_packages_offer(site, page, name):
    text = (site / f"api/{page}.html").read_text()
    assert f'id="{name}"' in text


def test_no_page_loads_anything_from_elsewhere(site):
    loaded = re.compile(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"(https?:[^\"]+)")
    found = {url for page in site.rglob("*.html") for url in loaded.findall(page.read_text())}
    assert not found
