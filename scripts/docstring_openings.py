#!/usr/bin/env python3
"""Refuse docstrings that begin with a question word or with a person's verb.

A package in TOLERATED still has some; it leaves the list when it has none.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "sam6d_ros"
REFUSED = re.compile(
    r"(What|How|Ears|Who|Why|Where|When|Which|Does|Is|Nothing|Hears|Knows|Lets|Tells|Have)\b"
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
TOLERATED = frozenset(
    {
        "models/device.py",
        "models/ism_scores.py",
        "models/matching.py",
        "models/sam_attention.py",
        "models/weights.py",
        "stages/geometric",
    }
)


def refused_in(file: Path) -> Iterator[str]:
    """Yield place and opening of each refused docstring of a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, DOCUMENTED) and REFUSED.match(text := ast.get_docstring(node) or ""):
            line = getattr(node, "lineno", 1)
            yield f"{file.relative_to(PACKAGE.parent)}:{line}: {text.splitlines()[0]}"


def main() -> int:
    """Print the refused docstrings; return 1 if there are any, or a tolerated package has none."""
    found: dict[str, list[str]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        place = "/".join(file.relative_to(PACKAGE).parts[:2])
        found.setdefault(place, []).extend(refused_in(file))
    wrong = [line for place, lines in found.items() if place not in TOLERATED for line in lines]
    clean = sorted(place for place in TOLERATED if not found.get(place))
    for line in wrong:
        print(line)
    for place in clean:
        print(f"{place} has no refused docstring: take it from TOLERATED in {Path(__file__).name}")
    return int(bool(wrong or clean))


if __name__ == "__main__":
    sys.exit(main())
