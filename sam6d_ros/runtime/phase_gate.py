"""Phases of a host: admission of requests and items by the phase, and periods of service."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sam6d_ros.errors import NotReady
from sam6d_ros.runtime.admission import Admission
from sam6d_ros.runtime.states import WORKING, Phase
from sam6d_ros.runtime.status import HostStatus
from sam6d_ros.runtime.worker import Worker

# A host is not activated in these phases. In ``UNLOADED`` a resource may be about to be freed.
BUSY_OR_GONE = (Phase.UNLOADED, Phase.LOADING, Phase.CLOSED)


class PhaseGate:
    """Phase of one host; every method may be called from any thread.

    A period of service ends when work that was handed over before is not wanted any more:
    ``leave``, ``interrupt``, and ``enter`` of a phase outside ``WORKING``. A load ends none,
    because the requests before it are done first.

    Args:
        name: of the host, in messages.
        status: gets the activations.
        admission: of requests; opened and closed with the phase.
        worker: its slot for items is opened and closed with the phase.
        loaded: returns whether the resource is there.
    """

    def __init__(
        self,
        name: str,
        status: HostStatus,
        admission: Admission,
        worker: Worker[Any],
        loaded: Callable[[], bool],
    ) -> None:
        self._name, self._status = name, status
        self._admission, self._worker, self._loaded = admission, worker, loaded
        self._lock = threading.Lock()
        self._phase, self._resume = Phase.UNLOADED, False
        self._period, self._reason = 0, ""
        self._refuse(Phase.UNLOADED.value)

    @property
    def phase(self) -> Phase:
        """Phase of this moment."""
        return self._phase

    @property
    def period(self) -> int:
        """Number of the period of service; to be taken when work is handed over."""
        return self._period

    def wants(self, period: int) -> bool:
        """Return whether work of a period is still wanted.

        Args:
            period: number of the period.
        """
        return period == self._period

    def check(self, period: int) -> None:
        """Raise if work of a period is not wanted any more; do nothing otherwise.

        Args:
            period: number of the period.

        Raises:
            NotReady: the host stopped serving since, for the reason that the message gives; it
                may serve again by now.
        """
        if not self.wants(period):
            raise NotReady(self._reason)

    def readiness(self) -> str:
        """Return why requests are refused now, in words; empty if they are admitted."""
        refusal = self._admission.refusal
        return f"{self._name} {refusal}" if refusal else ""

    # --- changes of the phase

    def enter(self, phase: Phase, reason: str = "", keep_serving: bool = False) -> None:
        """Stop serving for another phase; from ``CLOSED`` there is no way back.

        Args:
            phase: the phase to enter.
            reason: why, for work in progress.
            keep_serving: serve again after the phase if the host served, or was to serve again.
        """
        with self._lock:
            if self._phase is not Phase.CLOSED:
                self._resume = keep_serving and (self._resume or self._phase is Phase.ACTIVE)
                self._phase = phase
            if self._phase not in WORKING:
                self._end_period(reason)
            self._refuse(self._phase.value)

    def leave(self, reason: str) -> Phase:
        """Stop serving; a load in progress goes on, and ends inactive.

        Args:
            reason: for requests that end by it.

        Returns:
            The phase after that.
        """
        with self._lock:
            self._end_period(reason)
            self._resume = False
            if self._phase in (Phase.ACTIVE, Phase.DRAINING):
                self._phase = Phase.INACTIVE if self._loaded() else Phase.UNLOADED
                self._refuse(self._phase.value)
            return self._phase

    def interrupt(self, reason: str) -> None:
        """End the period of service in the present phase.

        Args:
            reason: for requests that end by it.
        """
        with self._lock:
            self._end_period(reason)

    def settle(self, phase: Phase, refusal: str) -> None:
        """Enter the phase that a load or unload ends in; serve if a reload is to do so.

        Args:
            phase: the phase to enter.
            refusal: why requests are refused, after the name of the host.
        """
        with self._lock:
            if self._phase is Phase.CLOSED:
                return
            self._phase = phase
            self._refuse(refusal)
            if self._resume and phase is Phase.INACTIVE:
                self._serve()

    def activate(self) -> None:
        """Serve requests and items from now on.

        Raises:
            NotReady: nothing is loaded.
        """
        with self._lock:
            if not self._loaded() or self._phase in BUSY_OR_GONE:
                raise NotReady(f"{self._name} {self._phase.value}")
            self._serve()

    def _end_period(self, reason: str) -> None:
        self._period, self._reason = self._period + 1, reason

    def _serve(self) -> None:
        self._status.activated()
        self._phase = Phase.ACTIVE
        self._admission.open()
        self._worker.open()

    def _refuse(self, refusal: str) -> None:
        self._admission.refuse(refusal)
        self._worker.close()
