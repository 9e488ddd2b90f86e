"""Micro-batching: requests that wait for one model are done together.

Requests pass the queue of a worker one after the other. The first one that is due takes those
that wait behind it into its call; their results lie ready when their own turn comes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sam6d_ros.errors import BackendUnavailable, NotReady

In = TypeVar("In")
Out = TypeVar("Out")

# Errors of a call that no input has caused: a second call would fail as well.
OF_THE_MODEL = (BackendUnavailable, NotReady)

# Returns a result or an error for each input; an exception is an error of the whole call.
RunBatch = Callable[[Sequence[In]], Sequence[Out | Exception]]


class Entry(Generic[In, Out]):
    """Input of one request, and its result once a batch has given it.

    Attributes:
        waited_s: from its arrival to the start of its batch.
    """

    def __init__(self, item: In, since: float) -> None:
        self.item, self.since = item, since
        self.waited_s = 0.0
        self.outcome: Out | Exception | None = None
        self.done = self.taken = False

    def settle(self, outcome: Out | Exception) -> None:
        """Store the result or the error.

        Args:
            outcome: result or error.
        """
        self.outcome, self.done = outcome, True


class MicroBatcher(Generic[In, Out]):
    """Inputs that wait for one model, and the rule that joins them.

    ``answer`` is called from the compute thread, the other methods from any.

    Args:
        max_batch: most inputs of a call.
        max_delay_s: for how long after its arrival an input waits for others; 0 takes what waits.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        max_batch: int,
        max_delay_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_batch < 1 or max_delay_s < 0:
            raise ValueError(
                f"max_batch is {max_batch}, max_delay_s {max_delay_s}; expected at least 1 and 0"
            )
        self.max_batch, self._max_delay_s, self._clock = max_batch, max_delay_s, clock
        self._waiting: dict[Entry[In, Out], None] = {}  # in the order of their arrival
        self._changed = threading.Condition()

    def arrive(self, item: In) -> Entry[In, Out]:
        """Return the entry of an input; batches of others leave it out until ``enter``.

        Args:
            item: the input.
        """
        return Entry(item, self._clock())

    def enter(self, entry: Entry[In, Out]) -> None:
        """Queue an entry for a batch, unless it was answered or left before.

        Args:
            entry: of :meth:`arrive`.
        """
        with self._changed:
            if not entry.taken:
                self._waiting[entry] = None
                self._changed.notify_all()

    def leave(self, entry: Entry[In, Out]) -> None:
        """Keep an entry out of further batches; its request is over.

        Args:
            entry: of :meth:`arrive`.
        """
        with self._changed:
            entry.taken = True
            self._waiting.pop(entry, None)

    def answer(self, entry: Entry[In, Out], run: RunBatch[In, Out]) -> Out:
        """Return the result of an input, alone or with those that wait.

        Args:
            entry: from ``arrive``.
            run: does a batch.

        Raises:
            Exception: the error of this input.
        """
        if not entry.done:
            _run(self._take(entry), run)
        outcome = entry.outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[return-value]

    def _take(self, entry: Entry[In, Out]) -> list[Entry[In, Out]]:
        """Return the entry and those that wait, once there are enough or the delay is over."""
        with self._changed:
            left_s = entry.since + self._max_delay_s - self._clock()
            if left_s > 0 and self.max_batch > 1:
                self._changed.wait_for(lambda: len(self._waiting) >= self.max_batch, left_s)
            self._waiting.pop(entry, None)
            batch = [entry, *list(self._waiting)[: self.max_batch - 1]]
            now = self._clock()
            for taken in batch:
                self._waiting.pop(taken, None)
                taken.taken, taken.waited_s = True, now - taken.since
            return batch


def _run(batch: list[Entry[In, Out]], run: RunBatch[In, Out]) -> None:
    """Do a batch; if it fails as a whole, do each input alone."""
    try:
        outcomes = run([entry.item for entry in batch])
        for entry, outcome in zip(batch, outcomes, strict=True):
            entry.settle(outcome)
    except Exception as error:
        if len(batch) > 1 and not isinstance(error, OF_THE_MODEL):
            for entry in batch:
                _run([entry], run)
            return
        for entry in batch:
            entry.settle(error)
