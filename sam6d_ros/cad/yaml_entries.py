"""Files of entries in YAML (objects, grasps): every complaint names file, entry, key and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from reprlib import Repr
from typing import Any, ClassVar

import yaml

from sam6d_ros.errors import InvalidInput

KINDS: dict[type, str] = {list: "list", dict: "map"}
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxother, _SHORT.maxstring = 3, 40, 80


class _PlainLoader(yaml.SafeLoader):
    """Loader without aliases: a few hundred bytes of them stand for billions of values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(
                None, None, "has an alias (*name); write the value out", mark
            )
        return super().compose_node(parent, index)


def load_plain(text: str) -> Any:
    """Return the content of a YAML text without aliases.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: it is not YAML, or has an alias.
    """
    return yaml.load(text, _PlainLoader)


class _PlainDumper(yaml.SafeDumper):
    """Dumper whose text ``load_plain`` takes."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump_plain(value: Any) -> str:
    """Return YAML without aliases: values that are shared are written out."""
    return yaml.dump(value, Dumper=_PlainDumper, sort_keys=True)


def shown(value: Any) -> str:
    """Return the beginning of a value for a message, without building its whole text."""
    return f"{_SHORT.repr(value):.80}"


def read_entries(
    path: Path, what: str, key: str, kind: type, example: str, error: type[InvalidInput]
) -> Any:
    """The list or dict (``kind``) under ``key``, which must be the only one of a YAML file.

    Complaints call the file ``what``, show the ``example`` of a value, and are raised as ``error``.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise error(f"{what} {path} cannot be read: {problem.strerror}") from problem
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise error(f"{path} is not YAML: {problem}") from problem
    if not isinstance(content, Mapping) or not isinstance(content.get(key), kind):
        raise error(f"{path} has no {KINDS[kind]} `{key}:`; expected {key}: {example}")
    unknown = [name for name in content if name != key]
    if unknown:
        raise error(f"{path} has the unknown keys {unknown}; expected only `{key}`")
    return content[key]


class YamlEntry:
    """One entry to be read, as YAML gave it; ``where`` is the beginning of every complaint."""

    error: ClassVar[type[InvalidInput]]

    def __init__(self, where: str, item: Any) -> None:
        self.where, self.item = where, item

    def fail(self, key: str, problem: str) -> InvalidInput:
        name = self.item.get("name") if isinstance(self.item, Mapping) else None
        of = f" ({name})" if isinstance(name, str) else ""
        return self.error(f"{self.where}{'.' + key if key else ''}{of}: {problem}")

    def check_keys(self, required: str, keys: tuple[str, ...]) -> None:
        if not isinstance(self.item, Mapping):
            raise self.fail("", f"is {shown(self.item)}; expected a map with {required}")
        unknown = [key for key in self.item if key not in keys]
        if unknown:
            raise self.fail(str(unknown[0]), f"is unknown; expected one of {keys}")

    def text(self, key: str) -> str:
        value = self.item.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(key, f"is {shown(value)}; expected a text that is not empty")
        return value.strip()

    def number(
        self, key: str, default: float | None, expected: str, low: float, high: float
    ) -> float:
        value = self.item.get(key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            raise self.fail(key, f"is {shown(value)}; expected {expected}")
        return float(value)
