"""README and docs say what is so: links, commands, versions, modules, constants."""

from __future__ import annotations

import importlib
import re
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import sam6d_ros
from sam6d_ros.apps.cli.main import build_parser

REPO = Path(__file__).resolve().parents[1]
PAGES = sorted([REPO / "README.md", REPO / "CHANGELOG.md", *(REPO / "docs").glob("*.md")])
README = (REPO / "README.md").read_text()


def code_of(text: str) -> list[str]:
    """Lines of code blocks and code spans, without comments."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^ *```\w*\n.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    spans = [re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", rest)]
    return [re.sub(r"\s+#.*", "", line).strip() for line in [*lines, *spans]]


def anchors_of(text: str) -> set[str]:
    """Names by which headings are linked to."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors_of(target.read_text()), f"{page.name}: {link}"


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    named = {word for line in code_of(README) for word in re.findall(r"^make ([a-z0-9-]+)", line)}
    assert {"demo", "test", "bench"} <= named <= targets


def test_every_sam6d_command_of_the_readme_is_understood() -> None:
    seen = set()
    for line in code_of(README):
        words = [word for word in shlex.split(line.replace("'", "")) if word != "…"]
        if words[:1] != ["sam6d"] or not words[1:]:
            continue
        seen.add(words[1])
        if words[2:] and line.find("…") < 0:
            build_parser().parse_args(words[1:])  # exits on what it does not know
        else:
            with pytest.raises(SystemExit) as helped:
                build_parser().parse_args([words[1], "--help"])
            assert helped.value.code == 0, line
    bags = {"offline", "replay", "record"}
    assert seen == {"estimate", "eval", "onboard", "weights", "demo", "serve"} | bags


def test_the_version_is_the_same_everywhere() -> None:
    project = re.search(r'^version = "(.+?)"', (REPO / "pyproject.toml").read_text(), re.MULTILINE)
    latest = re.search(r"^## \[([\d.]+)\]", (REPO / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert latest
    assert project
    manifest = ET.parse(REPO / "package.xml").findtext("version")
    assert {project[1], manifest, latest[1]} == {sam6d_ros.__version__}


def test_the_architecture_names_every_part_of_the_package() -> None:
    text = (REPO / "docs/architecture.md").read_text()
    package = REPO / "sam6d_ros"
    parts = [p.name for p in package.iterdir() if p.suffix == ".py" and p.name != "__init__.py"]
    parts += [f"{p.parent.name}/" for p in package.glob("*/__init__.py")]
    parts += [p.name for p in (package / "stages/geometric").glob("*.py") if p.name[0] != "_"]
    assert not [part for part in parts if not re.search(rf"\b{re.escape(part)}", text)]


def test_the_constants_of_the_method_are_those_of_the_code() -> None:
    rows = re.findall(
        r"^\| `(\w+)\.(\w+)` \| ([^|]+) \|", (REPO / "docs/method.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 10
    for module, name, shown in rows:
        package = "sam6d_ros.stages" if module == "accept" else "sam6d_ros.stages.geometric"
        code = importlib.import_module(f"{package}.{module}")
        assert float(shown) == pytest.approx(getattr(code, name)), f"{module}.{name}"


def test_the_conventions_state_the_score_as_it_is_computed() -> None:
    from sam6d_ros.stages import geometric
    from sam6d_ros.stages.geometric import compare

    text = " ".join((REPO / "docs/conventions.md").read_text().split())
    floor = compare.PART_FLOOR
    assert f"p(x) = {floor:g} + {1 - floor:g}·x" in text
    assert f"The default reject threshold is {geometric.DEFAULT_MIN_SCORE:g}" in text
    for name in compare.Agreement.__dataclass_fields__:
        assert f"| `{name}` |" in text
