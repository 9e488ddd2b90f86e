#!/usr/bin/env python3
"""Refuse metaphors and persons for programs in comments, texts, messages and pages."""

from __future__ import annotations

import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
REFUSED = re.compile(
    r"\b(climbs?|doubts?|doubtful|duels?|ears|heard|hears|in vain|knows|look-?alikes?|made[ -]up"
    r"|newcomers?|nobody|polish(es)?|remembered|remembers|somebody|starters?|tells|told"
    r"|what is (said|seen))\b",
    re.IGNORECASE,
)
PROSE = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.rst", "Makefile", "config/*.yaml"),
    *("docs/*.md", "examples/*.md", "underlay/*.md", "msg/*", "srv/*", "action/*"),
    *(f"sam6d_ros/apps/http/pages/*.{ending}" for ending in ("html", "js", "css")),
)
CODE = tuple(
    f"{folder}/**/*.py"
    for folder in ("sam6d_ros", "launch", "examples", "scripts", "test", "benchmarks", "underlay")
)
# They list the words.
SKIPPED = {Path(__file__).name, "docstring_openings.py", "test_docstrings.py"}


def texts_of(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each line, of Python files the comments and strings only."""
    if file.suffix != ".py":
        yield from enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        return
    with tokenize.open(file) as lines:
        for token in tokenize.generate_tokens(lines.readline):
            name = tokenize.tok_name[token.type]
            if name in ("COMMENT", "STRING", "FSTRING_MIDDLE"):
                for number, line in enumerate(token.string.splitlines()):
                    yield token.start[0] + number, line


def main() -> int:
    """Print each refused word with its place; return 1 if there are any."""
    found = 0
    for pattern in (*PROSE, *CODE):
        for file in sorted(REPO.glob(pattern)):
            if file.name in SKIPPED:
                continue
            for number, line in texts_of(file):
                for match in REFUSED.finditer(line):
                    print(f"{file.relative_to(REPO)}:{number}: {match[0]!r} in {line.strip()[:90]}")
                    found += 1
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
