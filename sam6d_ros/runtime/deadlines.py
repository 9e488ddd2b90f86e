"""Timer that calls functions at given times, in one thread for all of them."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

_LOG = logging.getLogger(__name__)
MIN_FORGOTTEN = 64


class Deadlines(Protocol):
    """Calls of functions at given times."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call a function at a time.

        Args:
            when: monotonic seconds.
            callback: called once, in the thread of the deadlines.

        Returns:
            A function that prevents the call.
        """

    def stop(self) -> None:
        """Call nothing any more."""


class DeadlineThread:
    """``Deadlines`` by one thread, which begins with the first call and ends with ``stop``.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._heap: list[tuple[float, int, list[Callable[[], None]]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._forgotten = 0

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call a function at a time.

        Args:
            when: monotonic seconds.
            callback: called once, in the thread of the deadlines.

        Returns:
            A function that prevents the call.
        """
        calls = [callback]  # emptied to prevent the call, so that nothing holds what it refers to
        with self._changed:
            heapq.heappush(self._heap, (when, next(self._order), calls))
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
        return lambda: self._prevent(calls)

    def _prevent(self, calls: list[Callable[[], None]]) -> None:
        """Drop a call; remove dropped ones from the heap before they are the larger part."""
        with self._changed:
            calls.clear()
            self._forgotten += 1
            if self._forgotten > max(MIN_FORGOTTEN, len(self._heap) // 2):
                self._heap = [entry for entry in self._heap if entry[2]]
                heapq.heapify(self._heap)
                self._forgotten = 0

    def stop(self) -> None:
        """Call nothing any more."""
        with self._changed:
            self._stopping = True
            self._heap.clear()
            self._changed.notify()

    def _run(self) -> None:
        while (calls := self._due()) is not None:
            _make(calls)
            del calls  # with what they hold

    def _due(self) -> list[Callable[[], None]] | None:
        """Wait for the next time; None when the thread shall end."""
        with self._changed:
            while not self._stopping:
                while self._heap and not self._heap[0][2]:
                    heapq.heappop(self._heap)
                left = self._heap[0][0] - time.monotonic() if self._heap else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(None if left is None else min(left, threading.TIMEOUT_MAX))
            return None


def _make(calls: list[Callable[[], None]]) -> None:
    try:
        for call in tuple(calls):
            call()
    except Exception:  # a defect of one call must not keep the others from theirs
        _LOG.exception("a call at a deadline failed")
