"""Turns of nodes of one process that may share an engine."""

from __future__ import annotations

import threading
from weakref import ref

from sam6d_ros.runtime.engine import Engine


class EngineTurn:
    """Lock of the hosts of several nodes, and the engine that each node has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: dict[str, ref[Engine]] = {}

    def __enter__(self) -> EngineTurn:
        self._lock.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def take(self, user: str, engine: Engine) -> None:
        """Note the engine that a node has from now on."""
        self._engines[user] = ref(engine)

    def is_shared(self, user: str) -> bool:
        """Whether another node has the engine of this node."""
        engines = dict(self._engines)
        own = engines.pop(user, None)
        return own is not None and own() is not None and own in engines.values()
