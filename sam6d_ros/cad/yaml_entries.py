"""Files of entries in YAML (objects, grasps): every complaint names file, entry, key and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from reprlib import Repr
from typing import Any, ClassVar

import yaml

from sam6d_ros.errors import InvalidInput
from sam6d_ros.types.text_files import read_text
from sam6d_ros.types.yaml_text import load_bounded

MAX_TEXT = 4096  # of a value; the longest path on Linux
MAX_NAME = 200  # characters; a name is part of topics, files and TF frames

KINDS: dict[type, str] = {list: "list", dict: "map"}
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxother, _SHORT.maxstring = 3, 40, 80


class _PlainDumper(yaml.SafeDumper):
    """Dumper whose text ``load_plain`` takes."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump_plain(value: Any) -> str:
    """Return YAML without aliases: values that are shared are written out.

    Args:
        value: of plain types.
    """
    return yaml.dump(value, Dumper=_PlainDumper, sort_keys=True)


def shown(value: Any) -> str:
    """Return the beginning of a value for a message, without building its whole text.

    Args:
        value: any value.
    """
    return f"{_SHORT.repr(value):.80}"


def read_entries(
    path: Path, what: str, key: str, kind: type, example: str, error: type[InvalidInput]
) -> Any:
    """Read the list or dict (``kind``) under ``key``, which must be the only one of a YAML file.

    Complaints call the file ``what``, show the ``example`` of a value, and are raised as ``error``.

    Args:
        path: of the file.
        what: name of the file in error texts.
        key: the only key of the file.
        kind: list or dict.
        example: of a value, for error texts.
        error: type of the errors.

    Returns:
        The list or dict.

    Raises:
        InvalidInput: (``error``) the file is unusable.
    """
    try:
        content = load_bounded(read_text(path, what, error))
    except error:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise error(f"{path} is not YAML: {problem}") from problem
    if not isinstance(content, Mapping) or not isinstance(content.get(key), kind):
        raise error(f"{path} has no {KINDS[kind]} `{key}:`; expected {key}: {example}")
    unknown = [name for name in content if name != key]
    if unknown:
        raise error(f"{path} has the unknown keys {shown(unknown)}; expected only `{key}`")
    return content[key]


class YamlEntry:
    """One entry to be read, as YAML gave it; ``where`` is the beginning of every complaint."""

    error: ClassVar[type[InvalidInput]]

    def __init__(self, where: str, item: Any) -> None:
        self.where, self.item = where, item

    def fail(self, key: str, problem: str) -> InvalidInput:
        """Return an error that names file, entry and key.

        Args:
            key: of the entry; "" for the entry itself.
            problem: the value and the expectation.

        Returns:
            The error, of the type ``error``.
        """
        name = self.item.get("name") if isinstance(self.item, Mapping) else None
        of = f" ({name:.80})" if isinstance(name, str) else ""
        return self.error(f"{self.where}{'.' + key if key else ''}{of}: {problem}")

    def check_keys(self, required: str, keys: tuple[str, ...]) -> None:
        """Refuse an entry that is no map, and unknown keys.

        Args:
            required: keys that the error text names.
            keys: the allowed keys.

        Raises:
            InvalidInput: (``error``) it is no map, or has another key.
        """
        if not isinstance(self.item, Mapping):
            raise self.fail("", f"is {shown(self.item)}; expected a map with {required}")
        unknown = [key for key in self.item if key not in keys]
        if unknown:
            raise self.fail(str(unknown[0]), f"is unknown; expected one of {keys}")

    def text(self, key: str, most: int = MAX_TEXT) -> str:
        """Return a text that must be there.

        Args:
            key: of the entry.
            most: largest number of characters.

        Returns:
            The text without space around it.

        Raises:
            InvalidInput: (``error``) it is empty, too long or no text.
        """
        value = self.item.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(key, f"is {shown(value)}; expected a text that is not empty")
        if len(value) > most:
            raise self.fail(key, f"has {len(value)} characters; expected at most {most}")
        return value.strip()

    def number(
        self, key: str, default: float | None, expected: str, low: float, high: float
    ) -> float:
        """Return a number within limits.

        Args:
            key: of the entry.
            default: value if the key is missing; None requires it.
            expected: the expectation, for the error text.
            low: lowest value.
            high: highest value.

        Returns:
            The number.

        Raises:
            InvalidInput: (``error``) it is no number within the limits.
        """
        value = self.item.get(key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            raise self.fail(key, f"is {shown(value)}; expected {expected}")
        return float(value)
