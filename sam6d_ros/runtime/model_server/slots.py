"""Models by name, with the one that answers and the one that is being loaded in its place."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime

from sam6d_ros.errors import NotReady, ResourceExhausted, UnknownName
from sam6d_ros.runtime.deadlines import Deadlines
from sam6d_ros.runtime.model_server.detector_model import open_detector_model
from sam6d_ros.runtime.model_server.frame_model import FrameModel
from sam6d_ros.runtime.model_server.host import ModelHost, ModelReport, Opener
from sam6d_ros.runtime.model_server.memory import ModelMemory
from sam6d_ros.runtime.model_server.process_model import ProcessModel
from sam6d_ros.runtime.model_server.slot import RegistryOptions, Slot
from sam6d_ros.runtime.model_server.spec import ModelSpec

_LOG = logging.getLogger(__name__)


class ModelSlots:
    """Slots by name, loads and evictions; every method may be called from any thread.

    Args:
        openers: see ``Registry``.
        options: limits and times.
        deadlines: timer of requests.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        openers: Mapping[str, Opener],
        options: RegistryOptions,
        deadlines: Deadlines,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._openers, self._options = dict(openers), options
        self._deadlines, self._clock = deadlines, clock
        self._slots: dict[str, Slot] = {}
        self._closed = False
        self._lock = threading.RLock()
        evict = self._evict if options.evict else None
        self._memory = ModelMemory(
            self._loaded, options.memory_bytes, evict, patience_s=options.load_s
        )

    def slot(self, name: str) -> Slot:
        """Return the slot of a name.

        Args:
            name: of the model.

        Raises:
            UnknownName: no model has this name.
        """
        with self._lock:
            slot = self._slots.get(name)
            if slot is None:
                known = ", ".join(sorted(self._slots)) or "none"
                raise UnknownName(f"no model '{name}'; registered: {known}")
            return slot

    def all(self) -> tuple[Slot, ...]:
        """Return all slots, by name."""
        with self._lock:
            return tuple(self._slots[name] for name in sorted(self._slots))

    def remove(self, name: str) -> Slot:
        """Remove a slot; its hosts go on.

        Args:
            name: of the model.

        Returns:
            The slot.

        Raises:
            UnknownName: no model has this name.
        """
        with self._lock:
            slot = self.slot(name)
            del self._slots[name]
            return slot

    def remove_all(self) -> list[Slot]:
        """Remove all slots, and refuse further loads.

        Returns:
            The slots.
        """
        with self._lock:
            self._closed = True
            slots, self._slots = [*self._slots.values()], {}
            return slots

    def load(
        self,
        spec: ModelSpec,
        keep: bool,
        loaded: Callable[[], None],
        allowed: Callable[[Slot | None], None] = lambda _: None,
    ) -> Future[ModelReport]:
        """Load a model into the slot of its name, in a thread of its own.

        Args:
            spec: name, source and settings of the model.
            keep: whether the slot is kept in the file from the moment the model is loaded.
            loaded: called once the model answers.
            allowed: called first with the slot, or None; raises to prevent the load.

        Returns:
            A future with the report of the loaded model.

        Raises:
            NotReady: a model of this name is being loaded, or the registry is closed.
            ResourceExhausted: there are too many models.
        """
        with self._lock:
            slot = self._slots.get(spec.name)
            allowed(slot)
            self._check_load(spec.name, slot)
            slot = self._slots.setdefault(spec.name, Slot())
            slot.coming = host = ModelHost(
                spec, self._open, self._memory.loading, self._deadlines, self._clock
            )
        future: Future[ModelReport] = Future()
        future.set_running_or_notify_cancel()  # a client that leaves does not end the load
        arguments = (slot, host, keep, loaded, future)
        # a daemon: a library that hangs in a load must not keep the process
        threading.Thread(
            target=self._bring, args=arguments, name=f"load {spec.name}", daemon=True
        ).start()
        return future

    def restore(
        self, specs: Sequence[ModelSpec], loaded: Callable[[], None]
    ) -> tuple[Future[ModelReport], ...]:
        """Load the models of the file; their slots are kept also if that fails.

        Args:
            specs: models of the file.
            loaded: called once each model answers.

        Returns:
            A future with the report of each model.
        """
        with self._lock:  # so that ``with_kept`` comes after the last of them
            if self._closed:
                return ()
            fresh = [spec for spec in specs if spec.name not in self._slots]
            for spec in fresh:
                self._slots[spec.name] = Slot(kept=True)
            return tuple(self.load(spec, True, loaded) for spec in fresh)

    def with_kept(self, write: Callable[[Sequence[ModelSpec]], None]) -> None:
        """Call a function with the specs to keep, one call after the other.

        Args:
            write: receives the specs.
        """
        with self._lock:
            write([slot.hosts[0].spec for slot in self.all() if slot.kept])

    def serving(self, name: str) -> ModelHost:
        """Return the host that answers for a name; load it again if it was evicted.

        Args:
            name: of the model.

        Raises:
            UnknownName: no model has this name.
            NotReady: its first load is in progress, or it is being loaded again.
        """
        with self._lock:
            slot = self.slot(name)
            if slot.host is None:
                raise NotReady(f"model '{name}' is loading")
            if not slot.evicted:
                return slot.host
            if slot.coming is None:
                self.load(slot.host.spec, slot.kept, lambda: None)
            raise NotReady(
                f"model '{name}' was unloaded to free memory and is being loaded again; "
                "repeat the request"
            )

    def _check_load(self, name: str, slot: Slot | None) -> None:
        if self._closed:
            raise NotReady("the model registry is closed")
        if slot is not None and slot.coming is not None:
            raise NotReady(f"model '{name}' is being loaded; repeat the request afterwards")
        most = self._options.max_models
        if slot is None and len(self._slots) >= most:
            raise ResourceExhausted(f"there are {most} models, which is the limit; unload one")

    def _bring(
        self,
        slot: Slot,
        host: ModelHost,
        keep: bool,
        loaded: Callable[[], None],
        future: Future[ModelReport],
    ) -> None:
        """Load a model and let it answer; then end the one before."""
        try:
            host.load().result()
            host.activate()
        except BaseException as error:
            left = self._failed(slot, host)
            future.set_exception(error)
        else:
            left = self._swapped(slot, host, keep)
            loaded()
            future.set_result(host.report())
        if left is not None:
            left.shut(self._options.drain_s, self._options.patience_s)

    def _failed(self, slot: Slot, host: ModelHost) -> ModelHost | None:
        """End a failed load; return the host that is not needed."""
        with self._lock:
            slot.coming = None
            if slot.serves:
                return host
            left, slot.host = slot.host, host
            return left

    def _swapped(self, slot: Slot, host: ModelHost, keep: bool) -> ModelHost | None:
        """Let a loaded model answer; return the host that is not needed."""
        with self._lock:
            slot.coming = None
            if self._slots.get(host.spec.name) is not slot:
                return host
            left, slot.host = slot.host, host
            slot.kept, slot.evicted = keep or slot.kept, False
            return left

    def _open(self, spec: ModelSpec) -> FrameModel:
        opener = self._openers.get(spec.source.partition(":")[0])
        if opener is None:
            opener = ProcessModel if spec.isolated else open_detector_model
        return opener(spec)

    def _loaded(self) -> list[ModelHost]:
        return [host for slot in self.all() for host in slot.hosts if host.loaded]

    def _evict(self, host: ModelHost) -> None:
        """Unload a model until its next request.

        Raises:
            ResourceExhausted: its call in progress does not end.
        """
        with self._lock:
            slot = self._slots.get(host.spec.name)
            if slot is None or slot.host is not host:
                return
            slot.evicted = True
        _LOG.info("unloading %s to free memory", host.name)
        host.drain(self._options.drain_s)
        try:
            host.unload("unloaded to free memory").result(self._options.patience_s)
        except NotInTime:
            raise ResourceExhausted(
                f"{host.name} is to be unloaded to free memory, and its call in progress takes "
                f"more than {self._options.patience_s:g} s"
            ) from None
