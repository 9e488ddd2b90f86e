"""Work with a loaded resource: timed, checked against its period of service, recorded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, TypeVar

from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.phase_gate import PhaseGate
from sam6d_ros.runtime.status import HostStatus

T = TypeVar("T")

TOTAL = "total"  # key of the timings


class MeasuredWork:
    """Execution of the work of one host, in its compute thread.

    Args:
        required: returns the resource, or raises ``NotReady``.
        gate: states the periods of service.
        status: gets the times and the errors of wanted work.
        turn: held while the resource is used.
    """

    def __init__(
        self,
        required: Callable[[], object],
        gate: PhaseGate,
        status: HostStatus,
        turn: AbstractContextManager[object],
    ) -> None:
        self._required, self._gate, self._status, self._turn = required, gate, status, turn

    def run(
        self,
        work: Callable[[Any, RunContext], T],
        ctx: RunContext,
        period: int,
        reason_of: Callable[[T], str] | None,
    ) -> T:
        """Run work of a period of service.

        Args:
            work: takes the engine and the context.
            ctx: its checkpoint is passed on, and raises ``NotReady`` once the period has ended.
            period: number of the period of service.
            reason_of: reads why the result is empty; None for work that is no frame.

        Returns:
            The result of the work.
        """
        own_check = ctx.checkpoint

        def checkpoint() -> None:
            own_check()
            self._gate.check(period)

        ctx = replace(ctx, checkpoint=checkpoint)
        try:
            with self._turn, self._status.working(), ctx.timings.measure(TOTAL):
                self._gate.check(period)
                result = work(self._required(), ctx)
        except BaseException as error:
            if self._gate.wants(period):
                self._status.failed(error)
            raise
        if reason_of is not None and self._gate.wants(period):
            self._status.processed(ctx.timings.seconds, reason_of(result))
        return result
