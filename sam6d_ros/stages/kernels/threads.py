"""Threads of compiled loops, and of independent pieces of work that release the lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numba

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return ``function`` of each item, in order; as many threads as compiled loops may use.

    The results do not depend on the number of threads, provided that the items share no state.

    Args:
        function: called once with each item.
        items: independent of each other.

    Raises:
        KeyboardInterrupt: without a wait for the items in progress.
    """
    workers = min(len(items), numba.get_num_threads())
    if workers < 2:
        return [function(item) for item in items]
    pool, wait = ThreadPoolExecutor(workers), True
    try:
        return list(pool.map(function, items))
    except KeyboardInterrupt:
        wait = False  # a search takes seconds, and the process is to end
        raise
    finally:
        pool.shutdown(wait, cancel_futures=True)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep compiled loops on this thread.

    For a few thousand pixels, starting other threads takes longer than the work, and many times
    longer when the processor is busy.
    """
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(threads)
