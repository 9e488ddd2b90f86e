"""State of a host, as diagnostics and ``/health`` show it, and phases of its life."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Activity of a host; the value is the text that a shell shows."""

    UNCONFIGURED = "unconfigured"
    INACTIVE = "inactive"
    LOADING = "loading"
    LOAD_FAILED = "loading failed"
    WAITING = "waiting for input"
    IDLE = "waiting for a request"
    RUNNING = "running"
    BAD_INPUT = "bad input"
    STUCK = "stuck"
    FAILED = "failed on the last frame"
    DRAINING = "draining"


class Phase(Enum):
    """Phase of the life of a host; the value follows its name in a refusal."""

    UNLOADED = "is not loaded"
    LOADING = "is loading"
    INACTIVE = "is not active"
    ACTIVE = "is active"
    DRAINING = "is draining"
    CLOSED = "is closed"


# Requests admitted before are done in these phases; in the others they have been failed.
WORKING = (Phase.ACTIVE, Phase.DRAINING, Phase.LOADING)
