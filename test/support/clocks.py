"""Clock that a test moves by hand."""

from __future__ import annotations


class Clock:
    """Seconds that pass only where a test adds them to ``now``."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now
