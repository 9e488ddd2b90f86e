"""Limit on the time in which Ctrl-C ends a process.

Python handles a signal between two instructions of the main thread. A call into a library delays
that, and a library may swallow the KeyboardInterrupt. A thread that reads the signals ends the
process then.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

LIMIT_S = 2.5
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


def limit_the_end(status: int, applies: Callable[[], bool] = lambda: True) -> None:
    """End the process ``LIMIT_S`` after a SIGINT, if it has not ended by itself.

    Call it in the main thread. A signal with the default action of the system ends the process at
    once, as before.

    Args:
        status: exit status of the end by this limit.
        applies: returns at the signal whether the limit applies; a program that closes files, or
            finishes requests, takes the time that it needs.
    """
    signals, written = os.pipe()
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(signals, status, applies), daemon=True)
    watch.start()


def _watch(signals: int, status: int, applies: Callable[[], bool]) -> None:
    """Wait for a SIGINT to which the limit applies, then for the limit."""
    while (number := os.read(signals, 1)) and not (number[0] == signal.SIGINT and applies()):
        pass
    time.sleep(LIMIT_S)
    os._exit(status)


@contextmanager
def unlimited() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C as usual, without the limit; for the main thread."""
    before = signal.signal(signal.SIGINT, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _raise(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def end_process(status: int) -> NoReturn:
    """End the process without waiting for threads or freeing what is loaded.

    The interpreter frees each library first: 1 to 2 s per node on two busy cores, and `ros2 launch`
    kills nodes after 5 s. A stage may still run in a thread.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
