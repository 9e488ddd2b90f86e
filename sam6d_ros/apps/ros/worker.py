"""A thread with a one-slot mailbox: callbacks hand in the newest item and return at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """Runs ``prepare`` once, then ``process`` on the newest item, in a thread of its own.

    An item that is still waiting when a newer one comes is dropped and counted: for a robot, a
    late answer about an old image is worth less than an answer about the newest one.

    Args:
        name: of the thread.
        prepare: slow set-up; when it returns False the thread ends.
        process: what is done with an item; errors are its own to handle.
    """

    def __init__(
        self, name: str, prepare: Callable[[], bool], process: Callable[[Item], None]
    ) -> None:
        self.dropped = 0
        self._prepare, self._process = prepare, process
        self._item: Item | None = None
        self._stopping = False
        self._changed = threading.Condition()
        # A daemon, because a stage in the middle of a frame cannot be interrupted.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, item: Item) -> None:
        """Leave an item for the thread, in place of one that still waits."""
        with self._changed:
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify()

    def stop(self, timeout_s: float) -> None:
        """Ask the thread to end after the item in work, and wait for it."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        if not self._prepare():
            return
        while (item := self._take()) is not None:
            self._process(item)

    def _take(self) -> Item | None:
        """The next item; None when the thread shall end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._item is not None)
            item, self._item = self._item, None
            return None if self._stopping else item
