"""Checks of docstrings and words in `make lint`: they find what they should."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sections() -> ModuleType:
    return script("docstring_sections")


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("def f(): pass", ["docstring"]),
        ('def f(x: int) -> None:\n "Set x."', ["Args"]),
        ('def f(x: int) -> int:\n "Double x."', ["Args", "Returns"]),
        ('def f() -> int:\n "Return one."', []),
        ('def f(x: int) -> int:\n """Double.\n\n Args:\n  x: it.\n\n Returns:\n  It.\n """', []),
    ],
)
def test_missing_parts_of_a_docstring_are_named(
    sections: ModuleType, source: str, missing: list[str]
) -> None:
    [function] = sections.public_functions(ast.parse(source).body)
    assert sections.lacks(function) == missing


def test_every_public_function_of_the_core_is_documented(sections: ModuleType) -> None:
    assert sections.main() == 0


def test_refused_words_are_found_in_comments_and_texts_only(tmp_path: Path) -> None:
    words = script("plain_words")
    file = tmp_path / "a.py"
    file.write_text('told = 1  # nobody knows\nprint("waited in vain")\n', encoding="utf-8")
    found = [(n, m[0]) for n, line in words.texts_of(file) for m in words.REFUSED.finditer(line)]
    assert found == [(1, "nobody"), (1, "knows"), (2, "in vain")]


@pytest.mark.parametrize("name", ["test/conftest.py", "sam6d_ros/apps/http/pages/frame.js"])
def test_tests_and_pages_are_searched_for_refused_words(name: str) -> None:
    words = script("plain_words")
    patterns = (*words.PROSE, *words.CODE)
    assert words.REPO / name in [f for pattern in patterns for f in words.REPO.glob(pattern)]


def test_no_text_has_a_refused_word() -> None:
    assert script("plain_words").main() == 0
