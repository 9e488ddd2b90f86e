"""README and docs state the truth: links, commands, versions, modules, constants."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from catkin_pkg.changelog import Changelog, populate_changelog_from_rst

import sam6d_ros
from sam6d_ros.apps.cli.main import build_parser

REPO = Path(__file__).resolve().parents[1]
EXAMPLES = REPO / "examples/README.md"
NOTES = [EXAMPLES, *(REPO / n for n in ("README.md", "CHANGELOG.rst", "CONTRIBUTING.md"))]
PAGES = sorted([*NOTES, *(REPO / "docs").glob("*.md")])
GUIDES = [page for page in PAGES if page.name != "CHANGELOG.rst"]  # state whole commands
# as prose names them, without arguments
NAMES = {("serve", "models"), ("triton", "serve"), ("detector", "export"), ("triton", "setup")}
OTHER_PROGRAMS = re.compile(
    r"\b(?!sam6d)(curl|pip|apt|colcon|ros2|docker|kubectl|rosdep|ray|python|git|pytest)\b"
)
README = (REPO / "README.md").read_text()


def code_of(text: str) -> list[str]:
    """Lines of code blocks and code spans, without comments."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^ *```\w*\n.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    joined = [re.sub(r" *\\\n *", " ", block) for block in blocks]  # continued lines
    lines = [line for block in joined for line in block.splitlines()]
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


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 900


def test_every_page_can_be_reached_from_the_readme() -> None:
    links = [f"({page.relative_to(REPO)}" for page in PAGES if page.name != "README.md"]
    assert not [link for link in links if link not in README]


def test_the_ladder_lists_every_example() -> None:
    listed = re.findall(r"^\| \[(\w+(?:\.py)?)\]", EXAMPLES.read_text(), re.MULTILINE)
    assert listed == sorted(path.name for path in (REPO / "examples").glob("0*"))


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(page.read_text() for page in GUIDES)
    named = {word for line in code_of(text) for word in re.findall(r"^make ([a-z0-9-]+)", line)}
    assert {"demo", "test", "bench"} <= named <= targets


def test_every_sam6d_command_is_understood() -> None:
    seen = set()
    for line in code_of("\n".join(page.read_text() for page in GUIDES)):
        line = re.split(r" [|>&]", line)[0].removesuffix(" --help")  # not what the shell does
        words = [word for word in shlex.split(line.replace("'", "")) if word != "…"]
        if words[:1] != ["sam6d"] or not words[1:]:
            continue
        seen.add(words[1])
        if words[2:] and "…" not in line and tuple(words[1:]) not in NAMES:
            build_parser().parse_args(words[1:])  # exits on what it does not know
            continue
        with pytest.raises(SystemExit) as helped:
            build_parser().parse_args([*(words[1:2] if "…" in line else words[1:]), "--help"])
        assert helped.value.code == 0, line
    assert seen == subcommands()


def subcommands() -> set[str]:
    """Names of the commands that the parser takes."""
    (action,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return set(action.choices)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Option strings of a parser and of all its subcommands."""
    found: set[str] = set()
    for action in parser._actions:
        found |= {*action.option_strings}
        if isinstance(action, argparse._SubParsersAction):
            for command in set(action.choices.values()):
                found |= options_of(command)
    return found


def test_every_option_that_is_named_exists() -> None:
    options = options_of(build_parser()) | {"--data-binary"}  # of curl
    for program in (REPO / "benchmarks").rglob("*.py"):
        options |= set(re.findall(r'"(--[a-z-]+)"', program.read_text()))
    unknown = set()
    for page in GUIDES:
        text = page.read_text()
        spans = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S))
        for span in spans:
            if not OTHER_PROGRAMS.search(span):
                named = re.findall(r"(?:^|[ ,/(])(--[a-z][a-z0-9-]*)", span)
                unknown |= {(page.name, option) for option in named if option not in options}
    assert not unknown


def test_extras_are_installed_from_the_clone() -> None:
    """The package is on no index, so `pip install 'sam6d_ros[http]'` found nothing."""
    text = (REPO / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2]
    known = set(re.findall(r"^([\w-]+) = \[", text.partition("\n[")[0], re.MULTILINE))
    modules = (REPO / "sam6d_ros").rglob("*.py")
    for path in (*PAGES, *modules):
        text = path.read_text()
        assert "install 'sam6d_ros[" not in text, path.name
        named = re.findall(r"install (?:-e )?'\.\[([^\]]+)\]'|install_extra\(['\"]([^'\"]+)", text)
        for extra in {word for names in named for word in (names[0] or names[1]).split(",")}:
            assert extra in known or "{" in extra, f"{path.name} names the extra {extra}"


def test_the_version_is_the_same_everywhere() -> None:
    project = re.search(r'^version = "(.+?)"', (REPO / "pyproject.toml").read_text(), re.MULTILINE)
    changes = (REPO / "CHANGELOG.rst").read_text()
    latest = re.search(r"^([\d.]+) \((.+)\)$", changes, re.MULTILINE)
    assert latest
    assert project
    manifest = ET.parse(REPO / "package.xml").findtext("version")
    cited = yaml.safe_load((REPO / "CITATION.cff").read_text())["version"]
    assert {project[1], manifest, latest[1], cited} == {sam6d_ros.__version__}


def test_the_files_that_a_contributor_touches_exist() -> None:
    text = (REPO / "CONTRIBUTING.md").read_text()
    files = re.findall(r"`((?:sam6d_ros|test|docs|config)/[\w./]+)`", text)
    assert len(files) > 12
    assert not [file for file in files if not (REPO / file).exists()]


def test_bloom_reads_the_changelog() -> None:
    text = (REPO / "CHANGELOG.rst").read_text().replace("(forthcoming)", "(2000-01-01)")
    changes = populate_changelog_from_rst(Changelog("sam6d_ros"), text)
    assert changes.get_content_of_version(sam6d_ros.__version__)


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
        parent = {"accept": "", "common": ".kernels"}.get(module, ".geometric")
        code = importlib.import_module(f"sam6d_ros.stages{parent}.{module}")
        assert float(shown) == pytest.approx(getattr(code, name)), f"{module}.{name}"


def test_the_conventions_state_the_score_as_it_is_computed() -> None:
    from sam6d_ros.stages import geometric
    from sam6d_ros.stages.geometric import alternatives, refine

    text = " ".join((REPO / "docs/conventions.md").read_text().split())
    assert f"The default reject threshold is {geometric.DEFAULT_MIN_SCORE:g}" in text
    for name in refine.REPORTED:
        assert f"| `{name}` |" in text
    assert f"from {alternatives.MIN_PROBABILITY:g} on" in text
