"""Supervision of a Triton server: restart after a crash, reload of models whose process died."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from sam6d_ros.detectors.triton.admin import TritonAdmin
from sam6d_ros.detectors.triton.process import TritonProcess
from sam6d_ros.errors import BackendUnavailable, Sam6dError

LOG = logging.getLogger(__name__)
PROBE_PERIOD_S = 10.0
NOTE_PERIOD_S = 1.0  # between two looks at which models are loaded
LARGEST_SHARE = 0.05  # of the time that probes may take: a large model is probed less often
POLL_S = 0.1
FIRST_PAUSE_S, LAST_PAUSE_S = 0.2, 30.0  # before a restart; doubled while the crashes go on
CALM_S = 60.0  # of running after which a crash counts as the first


class Supervisor:
    """A server that is kept running with its models.

    Args:
        start: starts the server's process.
        models: names that are loaded at first; later those that are loaded when the server ends.
        probe_period_s: seconds between two probes of the models.
        report: gets one line per change, for people.
    """

    def __init__(
        self,
        start: Callable[[], TritonProcess],
        models: Sequence[str],
        probe_period_s: float = PROBE_PERIOD_S,
        report: Callable[[str], None] = LOG.info,
    ) -> None:
        self._start = start
        self._models = list(models)
        self._period_s = probe_period_s
        self._report = report
        self._pause_s = FIRST_PAUSE_S
        self.process: TritonProcess | None = None
        self.ready = threading.Event()  # set while the server is up and its models were loaded

    def run(self, stopped: threading.Event) -> None:
        """Run the server until `stopped` is set.

        Raises:
            BackendUnavailable: the server cannot be started.
        """
        try:
            while not stopped.is_set():
                began = time.monotonic()
                self.process = self._start()
                self.process.wait_ready()
                self._load_all()
                self.ready.set()
                self._watch(stopped)
                self.ready.clear()
                if not stopped.is_set():
                    self._after_crash(time.monotonic() - began, stopped)
        finally:
            self.ready.clear()
            if self.process is not None:
                self.process.stop()

    @property
    def _running(self) -> TritonProcess:
        if self.process is None:
            raise BackendUnavailable("the server was not started")
        return self.process

    def _admin(self) -> TritonAdmin:
        address = self._running.address
        return TritonAdmin(f"{address.host}:{address.http}")

    def _load_all(self) -> None:
        with self._admin() as admin:
            for name in self._models:
                self._attempt(name, admin.load, "loaded")

    def _attempt(self, name: str, work: Callable[[str], None], done: str) -> None:
        start = time.monotonic()
        try:
            work(name)
        except Sam6dError as error:
            LOG.error("model '%s': %s", name, error)
        else:
            self._report(f"{done} '{name}' in {time.monotonic() - start:.1f} s")

    def _watch(self, stopped: threading.Event) -> None:
        """Probe the models from time to time, until the server ends or is to end."""
        note = time.monotonic() + NOTE_PERIOD_S
        due = time.monotonic() + self._period_s
        while not stopped.wait(POLL_S) and self._running.exit_status is None:
            probe = time.monotonic() >= due
            if not probe and time.monotonic() < note:
                continue
            probes_s = 0.0
            try:
                probes_s = self._check(probe)
            except Sam6dError as error:
                LOG.warning("cannot read the state of the models: %s", error)
            note = time.monotonic() + NOTE_PERIOD_S
            if probe:
                due = time.monotonic() + max(self._period_s, probes_s / LARGEST_SHARE)

    def _check(self, probe: bool) -> float:
        """Note the loaded models and mend those that do not answer; return seconds of probes."""
        with self._admin() as admin:
            states = [state for state in admin.states(probe) if state.state == "READY"]
            self._models = [state.name for state in states]
            for state in states if probe else ():
                if not state.answers:
                    LOG.warning("model '%s' does not answer: %s", state.name, state.problem)
                    self._attempt(state.name, admin.reload, "reloaded")
        return sum(state.seconds for state in states)

    def _after_crash(self, ran_s: float, stopped: threading.Event) -> None:
        status = self._running.exit_status
        self._running.stop()  # removes what it left
        self._pause_s = FIRST_PAUSE_S if ran_s > CALM_S else self._pause_s
        LOG.error("Triton ended with status %s; restart in %.1f s", status, self._pause_s)
        stopped.wait(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LAST_PAUSE_S)
