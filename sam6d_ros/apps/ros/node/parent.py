"""End of a node process with the process that started it."""

from __future__ import annotations

import os
import select
import signal
import threading

# Number of the process with which the nodes end; launch files and ``graph.Children`` set it.
VARIABLE = "SAM6D_ROS_PARENT"


def end_with_parent() -> None:
    """Interrupt this process, as Ctrl-C does, once the process that ``VARIABLE`` names has ended.

    A launch service that fails, or is killed, leaves its processes alone. Without the variable,
    and on a system other than Linux, nothing is done.
    """
    text = os.environ.get(VARIABLE, "")
    if not text.isdigit() or not hasattr(os, "pidfd_open"):
        return
    try:
        parent = os.pidfd_open(int(text))
    except ProcessLookupError:  # it has ended already
        os.kill(os.getpid(), signal.SIGINT)
    except OSError:  # a kernel, or a sandbox, without it
        return
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    """Wait for the end of a process by its file descriptor."""
    poll = select.poll()
    poll.register(parent, select.POLLIN)
    poll.poll()
    os.kill(os.getpid(), signal.SIGINT)
