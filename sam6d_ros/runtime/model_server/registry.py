"""Models at run time: register, replace without a gap, unload, evict, restore after a restart.

Each model has a host of its own (`host`): a failure stays with its model.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from sam6d_ros.errors import InvalidConfig, NotReady
from sam6d_ros.runtime.deadlines import Deadlines, DeadlineThread
from sam6d_ros.runtime.model_server.frame_model import FrameAnswer, FrameInput
from sam6d_ros.runtime.model_server.host import ModelReport, Opener
from sam6d_ros.runtime.model_server.models_file import ModelsFile
from sam6d_ros.runtime.model_server.slot import RegistryOptions, Slot
from sam6d_ros.runtime.model_server.slots import ModelSlots
from sam6d_ros.runtime.model_server.spec import ModelSpec
from sam6d_ros.runtime.model_server.stats import ModelFigures, summary

_LOG = logging.getLogger(__name__)


class Registry:
    """Models by name; every method may be called from any thread.

    Args:
        openers: function that opens a source, by the text before its colon (all other sources
            are detectors).
        file: keeps the registered models; None keeps them for this run only.
        options: limits and times.
        deadlines: timer of requests and log lines (default: one of the registry's own).
        clock: seconds that never jump.
    """

    def __init__(
        self,
        openers: Mapping[str, Opener] | None = None,
        file: ModelsFile | None = None,
        options: RegistryOptions | None = None,
        deadlines: Deadlines | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._options = file, options or RegistryOptions()
        self._clock, self._owns_deadlines = clock, deadlines is None
        self._deadlines: Deadlines = deadlines or DeadlineThread("model deadlines")
        self._slots = ModelSlots(openers or {}, self._options, self._deadlines, clock)
        self._logged_calls: dict[str, int] = {}
        self._log_later()

    def register(self, spec: ModelSpec, keep: bool = True) -> Future[ModelReport]:
        """Load a model under a new name, or in place of one that failed to load.

        Args:
            spec: name, source and settings of the model.
            keep: whether the model is restored after a restart.

        Returns:
            A future with the report of the loaded model, or the error of the load; the failed
            model stays in ``list`` with its reason.

        Raises:
            InvalidConfig: the name is taken; ``replace`` takes it.
            NotReady: a model of this name is being loaded, or the registry is closed.
            ResourceExhausted: there are too many models.
        """

        def allowed(slot: Slot | None) -> None:
            if slot is not None and slot.serves:
                raise InvalidConfig(f"model '{spec.name}' is registered; replace or unload it")

        return self._slots.load(spec, keep, self._save, allowed)

    def replace(self, spec: ModelSpec, keep: bool = True) -> Future[ModelReport]:
        """Load a model beside the one of its name, then answer with it; see ``register``.

        Requests that wait for the old one are finished by it. If the load fails, the old one stays.

        Args:
            spec: name, source and settings of the model.
            keep: whether the model is stored in the file of models.

        Returns:
            A future with the report, as of ``register``.

        Raises:
            UnknownName: no model has this name.
            NotReady: as ``register``.
        """

        def allowed(slot: Slot | None) -> None:
            if slot is None:
                self._slots.slot(spec.name)

        return self._slots.load(spec, keep, self._save, allowed)

    def unload(self, name: str) -> bool:
        """Remove a model after the requests that wait for it.

        Args:
            name: of the model.

        Returns:
            Whether its memory was freed in time; if not, that follows the call in progress.

        Raises:
            UnknownName: no model has this name.
        """
        slot = self._slots.remove(name)
        self._logged_calls.pop(name, None)
        self._save()
        options = self._options
        freed = [host.shut(options.drain_s, options.patience_s) for host in slot.hosts]
        _LOG.info("unloaded model '%s'", name)
        return all(freed)

    def get(self, name: str) -> ModelReport:
        """Return the state of a model.

        Args:
            name: of the model.

        Raises:
            UnknownName: no model has this name.
        """
        return self._slots.slot(name).report()

    def list(self) -> tuple[ModelReport, ...]:
        """Return the states of all models, by name."""
        return tuple(slot.report() for slot in self._slots.all())

    def stats(self, name: str) -> ModelFigures:
        """Return counts and times of a model since it was loaded.

        Args:
            name: of the model.

        Raises:
            UnknownName: no model has this name.
        """
        return self.get(name).figures

    def warm_up(
        self, name: str, runs: int | None = None, timeout_s: float | None = None
    ) -> Future[float]:
        """Run a model several times.

        Args:
            name: of the model.
            runs: number of runs (default: that of its spec, at least one).
            timeout_s: longest time, with the wait in the queue (default: any).

        Returns:
            A future with the seconds of the last run.

        Raises:
            UnknownName: no model has this name.
            NotReady: it is loading.
        """
        host = self._slots.serving(name)
        return host.warm_up(max(host.spec.warm_up_runs, 1) if runs is None else runs, timeout_s)

    def check_room(self, name: str) -> None:
        """Refuse, as ``submit`` would now, an image that has yet to be decoded.

        Args:
            name: of the model.

        Raises:
            UnknownName, NotReady, Overloaded: as ``submit``, or as its future.
        """
        self._slots.serving(name).check_room()

    def submit(
        self, name: str, item: FrameInput, timeout_s: float | None = None, request_id: str = ""
    ) -> Future[FrameAnswer]:
        """Queue an image for a model; see ``ModelHost.ask``.

        Args:
            name: of the model.
            item: the image.
            timeout_s: time until the request expires, seconds; None for no limit.
            request_id: shown in log lines.

        Returns:
            A future with the answer.

        Raises:
            UnknownName: no model has this name.
            NotReady: it is loading.
        """
        while True:
            host = self._slots.serving(name)
            future = host.ask(item, timeout_s, request_id)
            refused = future.done() and isinstance(future.exception(), NotReady)
            # a model that was replaced meanwhile refuses, and the new one takes the image
            if not refused or self._slots.serving(name) is host:
                return future

    def restore(self) -> tuple[Future[ModelReport], ...]:
        """Load the models of the file; one that fails is reported and stays in the file.

        Returns:
            A future with the report of each model.
        """
        return self._slots.restore(self._file.read() if self._file else (), self._save)

    def close(self) -> bool:
        """Unload all models and end the threads.

        Returns:
            Whether all memory was freed in time.
        """
        hosts = [host for slot in self._slots.remove_all() for host in slot.hosts]
        for host in hosts:
            host.release()
        end = time.monotonic() + self._options.patience_s
        freed = [host.join(max(end - time.monotonic(), 0.0)) for host in hosts]
        if self._owns_deadlines:
            self._deadlines.stop()
        return all(freed)

    def _save(self) -> None:
        if self._file is None:
            return
        try:
            self._slots.with_kept(self._file.write)
        except OSError as error:
            _LOG.error("cannot write %s (%s); models run on", self._file.path, error)

    def _log_later(self) -> None:
        self._deadlines.call_at(self._clock() + self._options.log_period_s, self._log)

    def _log(self) -> None:
        """Log a line for each model that answered since the last one, and do so again later."""
        for report in self.list():
            name, calls = report.spec.name, report.figures.calls
            if report.spec.metrics and calls and calls != self._logged_calls.get(name):
                _LOG.info("model '%s': %s", name, summary(report.figures))
                self._logged_calls[name] = calls
        self._log_later()
