"""Ctrl-C as a wish to end well: what was begun is finished, then files are closed."""

from __future__ import annotations

import signal
from types import FrameType

WATCHED = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While it is entered, the first Ctrl-C (or SIGTERM) only sets ``asked``.

    The second one interrupts as usual. For the main thread.
    """

    def __init__(self) -> None:
        self.asked = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> Interruption:
        self._before = {number: signal.signal(number, self._note) for number in WATCHED}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
