"""Laws of the error table: every error has one handling, and defects alone show a traceback."""

import logging

import pytest

from sam6d_ros import errors
from sam6d_ros.runtime.error_table import (
    ERROR_TABLE,
    Kind,
    Retry,
    gravest,
    handling_of,
    message_of,
)
from sam6d_ros.runtime.states import State

DELIBERATE = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.Sam6dError)
]


def an(kind):
    return kind("full", 1.0) if kind is errors.Overloaded else kind("full")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (errors.InvalidFrame, (Kind.CALLER, State.BAD_INPUT, "WARNING", 2, 422, Retry.NEVER)),
        (errors.UnknownName, (Kind.CALLER, State.BAD_INPUT, "WARNING", 2, 404, Retry.NEVER)),
        (errors.TooLarge, (Kind.CALLER, State.BAD_INPUT, "WARNING", 2, 413, Retry.NEVER)),
        (errors.NotAllowed, (Kind.CALLER, State.BAD_INPUT, "WARNING", 2, 403, Retry.NEVER)),
        (errors.NotReady, (Kind.LATER, None, "INFO", 4, 503, Retry.AGAIN)),
        (errors.Overloaded, (Kind.LATER, None, "INFO", 4, 429, Retry.AGAIN)),
        (errors.DeadlineExceeded, (Kind.GIVEN_UP, None, "INFO", 130, 504, Retry.NEVER)),
        (errors.Cancelled, (Kind.GIVEN_UP, None, "INFO", 130, 499, Retry.NEVER)),
        (errors.CheckpointError, (Kind.MACHINE, State.FAILED, "ERROR", 4, 503, Retry.ELSEWHERE)),
        (errors.BackendUnavailable, (Kind.MACHINE, State.FAILED, "ERROR", 4, 503, Retry.ELSEWHERE)),
        (errors.ResourceExhausted, (Kind.MACHINE, State.FAILED, "ERROR", 4, 503, Retry.ELSEWHERE)),
        (errors.InvariantError, (Kind.DEFECT, State.FAILED, "ERROR", 1, 500, Retry.ONCE)),
        (ZeroDivisionError, (Kind.DEFECT, State.FAILED, "ERROR", 1, 500, Retry.ONCE)),
    ],
)
def test_an_error_is_handled_by_its_row(kind, expected):
    found = handling_of(an(kind))
    severity = logging.getLevelName(found.severity)
    row = (found.kind, found.state, severity, found.exit_code, found.http_status, found.retry)
    assert row == expected
    assert found.with_traceback is (found.kind is Kind.DEFECT)


@pytest.mark.parametrize("kind", [*DELIBERATE, Exception, KeyboardInterrupt, MemoryError])
def test_no_row_hides_a_later_one_and_each_error_has_one(kind):
    index = [row for row, _ in ERROR_TABLE].index(
        next(row for row, _ in ERROR_TABLE if issubclass(kind, row))
    )
    assert handling_of(an(kind)) is ERROR_TABLE[index][1]
    assert not any(issubclass(ERROR_TABLE[index][0], row) for row, _ in ERROR_TABLE[:index])


def test_a_client_reads_the_type_of_a_defect_only():
    assert message_of(errors.NotReady("the engine is loading")) == "the engine is loading"
    assert message_of(ZeroDivisionError("by zero")) == "ZeroDivisionError: by zero"


def test_the_gravest_of_several_is_a_defect_before_the_machine_before_the_caller():
    raised = [errors.InvalidInput("a"), ZeroDivisionError("b"), errors.ResourceExhausted("c")]
    rows = [handling_of(error) for error in raised]
    assert gravest(rows) is rows[1]
    assert gravest([rows[0], rows[2]]) is rows[2]
    assert gravest([]) is None
