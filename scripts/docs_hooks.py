"""Hooks of mkdocs: files of the repository outside docs/, and pages of the API reference.

A link of a page leads to where its target is in the repository. Pages outside docs/ are built
below ``repository/``; the README is the first page.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

REPO = Path(__file__).resolve().parents[1]
README = "index.md"
OUTSIDE = (
    "CONTRIBUTING.md",
    "QUALITY_DECLARATION.md",
    "CHANGELOG.rst",
    "LICENSE",
    "underlay/README.md",
    "examples/**/README.md",
    "examples/*.py",
    "examples/*.ipynb",
)
# described in method.md; their docstrings are no API
INTERNAL = ("sam6d_ros.stages.geometric", "sam6d_ros.stages.kernels")
REFERENCE = {  # page: packages or modules
    "api": ("apps/api.py",),
    "geometry": ("geometry",),
    "types": ("types",),
    "cad": ("cad",),
    "stages": ("stages",),
    "pipeline": ("pipeline.py", "config.py", "errors.py"),
    "runtime": ("runtime",),
}
LINK = re.compile(r"\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the files outside docs/ and the pages of the reference."""
    files.append(File.generated(config, README, abs_src_path=str(REPO / "README.md")))
    for pattern in OUTSIDE:
        for path in sorted(REPO.glob(pattern)):
            place = f"repository/{path.relative_to(REPO).as_posix()}"
            files.append(File.generated(config, place, abs_src_path=str(path)))
    for name, parts in REFERENCE.items():
        content = f"# {name}\n\n" + "\n".join(_entry(module) for module in _modules(parts))
        files.append(File.generated(config, f"api/{name}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Return the page with links to the places of the built pages."""
    source = page.file.src_uri
    here = REPO / "README.md" if source == README else _repository_path(source)

    def replaced(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(here.parent / match[1])).relative_to(REPO).as_posix()
        built = os.path.relpath(_place(target), Path(source).parent)
        return f"]({built}{match[2] or ''})"

    return LINK.sub(replaced, markdown)


def _repository_path(source: str) -> Path:
    """Return the file of a page that is not the README."""
    outside = source.removeprefix("repository/")
    return REPO / outside if outside != source else REPO / "docs" / source


def _place(target: str) -> str:
    """Return where a file of the repository is in the site."""
    if target == "README.md":
        return README
    inside = target.removeprefix("docs/")
    return inside if inside != target else f"repository/{target}"


def _modules(parts: tuple[str, ...]) -> list[str]:
    """Return the names of the public modules of packages, and of single modules."""
    package = REPO / "sam6d_ros"
    paths = [
        path
        for part in parts
        for path in sorted((package / part).rglob("*.py") if "." not in part else [package / part])
    ]
    names = [path.relative_to(REPO).with_suffix("").as_posix() for path in paths]
    dotted = [name.removesuffix("/__init__").replace("/", ".") for name in names]
    return [name for name in dotted if "._" not in name and not name.startswith(INTERNAL)]


def _entry(module: str) -> str:
    return f"::: {module}\n"
