"""Policy by which the compiled loops share the processor with other processes."""

from __future__ import annotations

import os


def share_the_cores() -> None:
    """Let idle OpenMP threads sleep; call first in ``main``, before any compiled loop runs.

    The loops of the core are short and many, and threads that wait for the next one spin by
    default. On a processor that another node, the camera driver or the planner uses as well, that
    steals what they and we need: one frame took 8.4 s instead of 2.6 s on two busy cores, and
    nothing is lost on idle ones. A value that the user set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # OpenMP 5.2, section 21.2.7
