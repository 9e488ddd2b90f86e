"""The base of every filter: a list of callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class SimpleFilter:
    """Calls each registered callback with the messages that pass the filter."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., None], *args: Any) -> int:
        """Have `cb(*messages, *args)` called for every output; returns the connection's number."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        """Hand `msg` to every callback, in the order in which they were registered."""
        for callback, extra in self.callbacks.values():
            callback(*msg, *extra)
