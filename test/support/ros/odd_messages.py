"""Damaged ROS messages: random fields get values that are allowed by type and by nothing else."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

LIMITS = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "uint16": (0, 2**16 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint32": (0, 2**32 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint64": (0, 2**64 - 1),
    "int64": (-(2**63), 2**63 - 1),
}
FLOATS = (float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1e30)
TEXTS = ("", "x" * 300, "../..", "\x00", "16UC1", "rgb8", "png", "müll\n")


def odd(message: Any, chance: random.Random) -> Any:
    """Return a copy of a message with one to three odd fields."""
    changed = copy.deepcopy(message)
    for _ in range(chance.randint(1, 3)):
        _change(changed, chance)
    return changed


def _change(message: Any, chance: random.Random) -> None:
    name, kind = chance.choice([*message.get_fields_and_field_types().items()])
    value = getattr(message, name)
    if hasattr(value, "get_fields_and_field_types"):
        return _change(value, chance)
    if re.search(r"\[\d+\]$", kind):  # of a fixed length
        value[chance.randrange(len(value))] = _scalar(kind.partition("[")[0], chance)
        return None
    if "sequence" in kind:
        return _change_sequence(message, name, value, chance)
    setattr(message, name, _scalar(kind, chance))
    return None


def _change_sequence(message: Any, name: str, value: Any, chance: random.Random) -> None:
    """Change an element, or cut, empty or double the sequence."""
    way = chance.choice(("element", "cut", "empty", "double"))
    if way == "element" and len(value) and hasattr(value[0], "get_fields_and_field_types"):
        return _change(chance.choice(value), chance)
    if way == "element" and len(value) and isinstance(value[0], int):
        value[chance.randrange(min(len(value), 64))] = chance.randrange(128)
        return None
    size = {"cut": chance.randrange(len(value) + 1), "empty": 0}.get(way, len(value))
    rest = value[:size]
    setattr(message, name, rest + copy.deepcopy(value) if way == "double" else rest)
    return None


def _scalar(kind: str, chance: random.Random) -> Any:
    if kind in ("double", "float"):
        return chance.choice(FLOATS)
    if kind in ("boolean", "bool"):
        return chance.random() < 0.5
    if kind.startswith("string"):
        return chance.choice(TEXTS)
    if kind == "octet":
        return bytes([chance.randrange(256)])
    low, high = LIMITS[kind]
    return chance.choice((low, high, 1, chance.randint(low, high)))
