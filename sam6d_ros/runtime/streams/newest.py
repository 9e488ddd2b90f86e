"""Newest value of a producer, for any number of viewers that never slow it down."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Slot with the newest value and its number; older values are dropped."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._value: T | None = None
        self._number = 0
        self._closed = False
        self._viewers: tuple[Viewer[T], ...] = ()

    @property
    def viewers(self) -> int:
        """Number of viewers now."""
        return len(self._viewers)

    @property
    def closed(self) -> bool:
        """Whether no value comes any more."""
        return self._closed

    def put(self, value: T) -> None:
        """Put a value in place of the last one and notify the viewers.

        Args:
            value: the newest value.
        """
        with self._changed:
            self._value = value
            self._number += 1
            self._changed.notify_all()
            viewers = self._viewers
        for viewer in viewers:
            viewer.notify()

    def clear(self) -> None:
        """Drop the value; viewers wait for the next one."""
        with self._changed:
            self._value = None

    def close(self) -> None:
        """End the waits of all viewers."""
        with self._changed:
            self._closed, self._value = True, None
            self._changed.notify_all()
            viewers = self._viewers
        for viewer in viewers:
            viewer.notify()

    def subscribe(self, notify: Callable[[], object] | None = None) -> Viewer[T]:
        """Return a new viewer.

        Args:
            notify: called in the producer's thread after each value; must return at once. For
                event loops: ``lambda: loop.call_soon_threadsafe(event.set)``.
        """
        viewer = Viewer(self, notify)
        with self._changed:
            self._viewers = (*self._viewers, viewer)
            self._changed.notify_all()
        return viewer

    def wait_for_viewer(self, timeout_s: float) -> bool:
        """Wait until there is a viewer.

        Args:
            timeout_s: longest wait, seconds.

        Returns:
            Whether there is one.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._viewers or self._closed, timeout_s) and (
                bool(self._viewers)
            )

    def take(self, seen: int, timeout_s: float) -> tuple[int, T | None]:
        """Wait for a value whose number is above ``seen``.

        Args:
            seen: number of the last value.
            timeout_s: longest wait, seconds.

        Returns:
            Number and value; ``seen`` and None if there is no newer one.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._is_new(seen), timeout_s)
            return (self._number, self._value) if self._is_new(seen) else (seen, None)

    def remove(self, viewer: Viewer[T]) -> None:
        """Remove a viewer.

        Args:
            viewer: of ``subscribe``.
        """
        with self._changed:
            self._viewers = tuple(other for other in self._viewers if other is not viewer)

    def _is_new(self, seen: int) -> bool:
        return self._value is not None and self._number > seen


class Viewer(Generic[T]):
    """One reader of a slot; close it after use.

    Attributes:
        missed: number of values that were replaced before this viewer took them.
    """

    def __init__(self, slot: Newest[T], notify: Callable[[], object] | None) -> None:
        self._slot, self._notify, self._seen = slot, notify, 0
        self.missed = 0

    def __enter__(self) -> Viewer[T]:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """Whether no value comes any more."""
        return self._slot.closed

    def next(self, timeout_s: float) -> T | None:
        """Return the newest value not taken before, waiting for it; None after the timeout or the
        end.

        Args:
            timeout_s: longest wait, seconds.
        """
        number, value = self._slot.take(self._seen, timeout_s)
        if value is not None:
            self.missed += number - self._seen - 1 if self._seen else 0
            self._seen = number
        return value

    def poll(self) -> T | None:
        """Return the newest value not seen before, or None at once."""
        return self.next(0.0)

    def notify(self) -> None:
        """Report a new value; a viewer whose event loop has ended is removed."""
        if self._notify is None:
            return
        try:
            self._notify()
        except RuntimeError:  # the event loop is closed
            self.close()

    def close(self) -> None:
        """Leave; the slot forgets this viewer."""
        self._slot.remove(self)
