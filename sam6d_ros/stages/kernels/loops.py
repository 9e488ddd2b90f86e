"""List of the compiled loops with the argument types that they are called with.

``loops.json`` beside this module is written by ``scripts/record_loops.py``. A type is a number type
of numba ("float64"), an array as dtype, dimensions and layout ("float32[2C]", "r" at the end when
it is read-only), or a tuple as a list of "module:Class" ("" of a plain tuple) and its items' types.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIST = Path(__file__).with_name("loops.json")
_ARRAY = re.compile(r"(\w+)\[(\d+)([ACF])(r?)\]")


@dataclass(frozen=True)
class Loop:
    """One compiled loop with one signature.

    Attributes:
        stages: those that call it, of "segment", "estimate" and "track".
        function: "module:name".
        types: of the arguments, as text.
        lines: of its source and of the loops that it calls; the longest are compiled first.
    """

    stages: tuple[str, ...]
    function: str
    types: tuple[Any, ...]
    lines: int

    def compile(self) -> None:
        """Compile the loop, or load its code from the cache."""
        module, name = self.function.split(":")
        dispatcher = getattr(importlib.import_module(module), name)
        dispatcher.compile(tuple(parse_type(text) for text in self.types))


def recorded(stages: Sequence[str]) -> list[Loop]:
    """Return the loops of some stages, those that take longest first.

    Args:
        stages: names of stages.
    """
    rows = json.loads(LIST.read_text(encoding="utf-8"))
    loops = [Loop(tuple(row[0]), row[1], tuple(row[2]), row[3]) for row in rows]
    return sorted(
        (loop for loop in loops if set(loop.stages) & set(stages)), key=lambda x: -x.lines
    )


def parse_type(text: Any) -> Any:
    """Return the numba type of a text of the list.

    Args:
        text: of the list: a string, or a list for tuples.

    Raises:
        AttributeError, ValueError: numba has no such type.
    """
    from numba import types

    if isinstance(text, list):
        fields = [parse_type(item) for item in text[1:]]
        if not text[0]:
            return types.Tuple(fields)
        module, name = text[0].split(":")
        cls = getattr(importlib.import_module(module), name)
        if len(set(fields)) == 1:
            return types.NamedUniTuple(fields[0], len(fields), cls)
        return types.NamedTuple(fields, cls)
    array = _ARRAY.fullmatch(text)
    if array is None:
        return getattr(types, text)
    dtype, dimensions, readonly = getattr(types, array[1]), int(array[2]), bool(array[4])
    layout: Any = array[3]
    return types.Array(dtype, dimensions, layout, readonly)


def type_text(numba_type: Any) -> Any:
    """Return the text of a numba type.

    Args:
        numba_type: type of an argument.

    Raises:
        ValueError: the list has no form for such a type.
    """
    from numba import types

    if isinstance(numba_type, types.Array):
        readonly = "" if numba_type.mutable else "r"
        return f"{numba_type.dtype}[{numba_type.ndim}{numba_type.layout}{readonly}]"
    if isinstance(numba_type, types.NamedTuple | types.NamedUniTuple):
        cls = numba_type.instance_class
        return [f"{cls.__module__}:{cls.__name__}", *_items(numba_type)]
    if isinstance(numba_type, types.BaseTuple):
        return ["", *_items(numba_type)]
    if isinstance(numba_type, types.Number | types.Boolean):
        return "boolean" if isinstance(numba_type, types.Boolean) else str(numba_type)
    raise ValueError(f"a compiled loop is called with {numba_type}; expected arrays and numbers")


def _items(tuple_type: Any) -> list[Any]:
    return [type_text(item) for item in tuple_type]
