#!/usr/bin/env python3
"""Refuse public functions of the core whose docstring lacks Args, Returns or Yields.

Ruff's DOC rules pass one-line docstrings; this one does not. A docstring that begins with "Return"
needs no section Returns.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "sam6d_ros"
COMPLETE = ("cad", "geometry", "pipeline.py", "runtime", "stages", "types")
TOLERATED: tuple[str, ...] = ()
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(body: list[ast.stmt]) -> Iterator[Function]:
    """Yield the public functions of a module or class, and of the public classes in it."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, Function) and not node.name.startswith("_"):
            decorators = " ".join(map(ast.unparse, node.decorator_list))
            yield from () if "property" in decorators else (node,)


def lacks(function: Function) -> list[str]:
    """Return the names of the missing parts."""
    text = ast.get_docstring(function) or ""
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    result = ast.unparse(function.returns) if function.returns else "None"
    missing = [] if text else ["docstring"]
    if set(names) - {"self", "cls"} and "Args:" not in text:
        missing.append("Args")
    has_result = text.startswith(("Return ", "Yield ")) or "Returns:" in text or "Yields:" in text
    if result not in ("None", "NoReturn", "Iterator[None]") and not has_result:
        missing.append("Returns")
    return missing


def main() -> int:
    """Print incomplete functions; return 1 if there are any, or a tolerated folder has none."""
    status = 0
    clean = set(TOLERATED)
    for file in sorted(PACKAGE.rglob("*.py")):
        path = file.relative_to(PACKAGE).as_posix()
        if not path.startswith(COMPLETE):
            continue
        for function in public_functions(ast.parse(file.read_text(encoding="utf-8")).body):
            if missing := lacks(function):
                tolerated = [folder for folder in TOLERATED if path.startswith(folder)]
                clean -= set(tolerated)
                if not tolerated:
                    where = f"sam6d_ros/{path}:{function.lineno}"
                    print(f"{where}: {function.name} has no {', '.join(missing)}")
                    status = 1
    for folder in sorted(clean):
        print(f"{folder} is complete: take it from TOLERATED in {Path(__file__).name}")
    return int(status or bool(clean))


if __name__ == "__main__":
    sys.exit(main())
