"""Table of error handling, by type of the error; every shell reads its own column."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from sam6d_ros.errors import (
    BackendUnavailable,
    Cancelled,
    CheckpointError,
    DeadlineExceeded,
    InvalidInput,
    InvariantError,
    NotAllowed,
    NotReady,
    Overloaded,
    ResourceExhausted,
    Sam6dError,
    TooLarge,
    UnknownName,
)
from sam6d_ros.runtime.states import State


class Kind(Enum):
    """Cause of an error, the gravest last."""

    CALLER = "caller"  # the request or its data are wrong
    LATER = "later"  # the same request may succeed later
    GIVEN_UP = "given up"  # the client cancelled, or the deadline passed
    MACHINE = "machine"  # this machine or its weights cannot do it
    DEFECT = "defect"  # of this program


class Retry(Enum):
    """Rule for another attempt at the same work in a fleet."""

    NEVER = "never"
    AGAIN = "again"
    ELSEWHERE = "elsewhere"  # on another node
    ONCE = "once"


NOTHING_FOUND = 3  # exit code of a command whose result is empty


@dataclass(frozen=True)
class Handling:
    """Consequences of an error.

    Attributes:
        kind: cause.
        state: state that the host shows; None leaves it as it is.
        severity: level of ``logging``.
        exit_code: of a command.
        http_status: of a response.
        retry: rule for a fleet.
        with_traceback: whether the log shows the traceback; a response never does.
    """

    kind: Kind
    state: State | None
    severity: int
    exit_code: int
    http_status: int
    retry: Retry
    with_traceback: bool = False


_BAD_INPUT = (Kind.CALLER, State.BAD_INPUT, logging.WARNING)
_LATER = (Kind.LATER, None, logging.INFO)
_GIVEN_UP = (Kind.GIVEN_UP, None, logging.INFO)
_MACHINE = Handling(Kind.MACHINE, State.FAILED, logging.ERROR, 4, 503, Retry.ELSEWHERE)
_DEFECT = Handling(Kind.DEFECT, State.FAILED, logging.ERROR, 1, 500, Retry.ONCE, True)

# The first row that matches counts.
ERROR_TABLE: tuple[tuple[type[BaseException], Handling], ...] = (
    (UnknownName, Handling(*_BAD_INPUT, 2, 404, Retry.NEVER)),
    (TooLarge, Handling(*_BAD_INPUT, 2, 413, Retry.NEVER)),
    (NotAllowed, Handling(*_BAD_INPUT, 2, 403, Retry.NEVER)),
    (InvalidInput, Handling(*_BAD_INPUT, 2, 422, Retry.NEVER)),
    (NotReady, Handling(*_LATER, 4, 503, Retry.AGAIN)),
    (Overloaded, Handling(*_LATER, 4, 429, Retry.AGAIN)),
    (DeadlineExceeded, Handling(*_GIVEN_UP, 130, 504, Retry.NEVER)),
    (Cancelled, Handling(*_GIVEN_UP, 130, 499, Retry.NEVER)),
    (BackendUnavailable, _MACHINE),
    (CheckpointError, _MACHINE),
    (ResourceExhausted, _MACHINE),
    (InvariantError, _DEFECT),
    (Sam6dError, _MACHINE),
    (BaseException, _DEFECT),
)


def handling_of(error: BaseException) -> Handling:
    """Return the first row of the table that matches the error.

    Args:
        error: of any type.
    """
    return next(row for kind, row in ERROR_TABLE if isinstance(error, kind))


def gravest(handlings: Iterable[Handling]) -> Handling | None:
    """Return the handling of the gravest cause, None if there is none.

    Args:
        handlings: of several errors.
    """
    order = list(Kind)
    return max(handlings, key=lambda handling: order.index(handling.kind), default=None)


def message_of(error: BaseException) -> str:
    """Return the text for a client: the message of a deliberate error, else with its type.

    Args:
        error: of any type.
    """
    return str(error) if isinstance(error, Sam6dError) else f"{type(error).__name__}: {error}"
