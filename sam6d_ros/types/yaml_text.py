"""YAML texts whose aliases stand for a bounded number of values."""

from __future__ import annotations

from typing import Any

import yaml

MAX_ALIASED = 100_000  # values that all aliases of a text stand for


class _BoundedLoader(yaml.SafeLoader):
    """Loader that counts the values of each alias: 300 bytes can stand for billions of them."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._count = self._aliased = 0
        self._sizes: dict[Any, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        alias = self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark
        before, self._count = self._count, self._count + 1
        node = super().compose_node(parent, index)
        if not alias:
            self._sizes[node] = self._count - before
            return node
        if node not in self._sizes:
            raise _error("the alias is inside its own anchor; write the value out", mark)
        self._count += self._sizes[node]
        self._aliased += self._sizes[node]
        if self._aliased > MAX_ALIASED:
            raise _error(
                f"aliases stand for more than {MAX_ALIASED:,} values; write them out", mark
            )
        return node


class _PlainLoader(yaml.SafeLoader):
    """Loader without aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise _error("has an alias (*name); write the value out", mark)
        return super().compose_node(parent, index)


def load_bounded(text: str) -> Any:
    """Return the content of a YAML text of one document.

    Args:
        text: YAML.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: it is not YAML, or its aliases stand for too
            many values.
    """
    return yaml.load(text, _BoundedLoader)


def load_first(text: str) -> Any:
    """Return the first document of a YAML text, or None; raise as ``load_bounded``.

    Args:
        text: YAML, of one or more documents.
    """
    return next(iter(yaml.load_all(text, _BoundedLoader)), None)


def load_plain(text: str) -> Any:
    """Return the content of a YAML text without aliases.

    Args:
        text: YAML.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: it is not YAML, or has an alias.
    """
    return yaml.load(text, _PlainLoader)


def _error(problem: str, mark: yaml.Mark) -> yaml.YAMLError:
    return yaml.composer.ComposerError(None, None, problem, mark)
