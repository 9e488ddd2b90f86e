"""Processes that an ended program has left, found by its session."""

from __future__ import annotations

import contextlib
import os
import signal
import time

ORPHANS_END_S = 10.0  # the helper that compiles imports its libraries first


def has_orphans(session: int) -> bool:
    """Return whether a process of a session lives on after ``ORPHANS_END_S``, and end it.

    Args:
        session: process group of a program that was started in a session of its own.
    """
    end = time.monotonic() + ORPHANS_END_S
    while time.monotonic() < end:
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)
    return True
