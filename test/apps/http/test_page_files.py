"""Files of the pages: in the wheel, unmodified libraries, nothing from elsewhere, safe headers."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sam6d_ros.apps.http.routes.pages import PAGES

ROOT = Path(__file__).parents[3]
OURS = [p for p in PAGES.iterdir() if p.suffix in (".html", ".js", ".css")]


def test_every_file_of_the_pages_is_in_the_wheel(tmp_path):
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sam6d_ros", source / "sam6d_ros", ignore=ignored)
    for name in ("config", "launch"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, source)
    build = "from setuptools import build_meta; import sys; build_meta.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=source, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for path in PAGES.rglob("*"):
        if path.is_file():
            assert str(path.relative_to(ROOT)) in names


def test_the_libraries_are_unmodified():
    vendor = PAGES / "vendor"
    lines = [line.split() for line in (vendor / "SHA256SUMS").read_text().splitlines()]
    for checksum, name in lines:
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == checksum, name
    listed = {name for _, name in lines}
    here = {str(p.relative_to(vendor)) for p in vendor.glob("*/*")}
    assert listed == here


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_a_page_loads_files_of_the_package_only_and_writes_no_markup(path):
    text = path.read_text()
    loaded = re.findall(r"(?:src=|href=|from |import\(|url\()[\"']?([^\"'\s>)]+)", text)
    assert not [place for place in loaded if place.startswith(("http", "//"))]
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert unsafe not in text
    assert not re.search(r"<script(?![^>]*(src=|importmap))|\son\w+=\"|\sstyle=\"", text)


def test_each_page_and_each_file_has_a_content_security_policy(served):
    html = {"Accept": "text/html"}
    for path in ("/", "/ui/index.html", "/ui/api.js", "/ui/vendor/three/three.module.js"):
        answer = served.pem.get(path, headers=html).raise_for_status()
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
    assert served.pem.get("/").json() == {"message": "PEM Server is running"}
