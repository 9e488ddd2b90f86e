"""Memory of the models of one process: measured at each load, limited by option."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sam6d_ros.errors import ResourceExhausted
from sam6d_ros.runtime.memory import device_bytes, resident_bytes
from sam6d_ros.runtime.model_server.host import ModelHost
from sam6d_ros.runtime.model_server.spec import ModelSpec

_LOG = logging.getLogger(__name__)
Hosts = Callable[[], Sequence[ModelHost]]


class ModelMemory:
    """Limit of the memory of all models, and the rule of what is evicted.

    The memory of a model is what the process grew by while it was loaded and warmed up, host and
    device, at least the size of its file. So models of this process are loaded one after another;
    a load that hangs keeps the next ones waiting for `patience_s` each.

    Args:
        loaded: returns the hosts that hold a model.
        limit_bytes: of all models together; None sets no limit.
        evict: called with the model unused for longest if the limit is reached; None refuses the
            new one instead.
        used: memory of this process in bytes.
        patience_s: for how long a load waits for the one before it.
    """

    def __init__(
        self,
        loaded: Hosts,
        limit_bytes: int | None = None,
        evict: Callable[[ModelHost], None] | None = None,
        used: Callable[[], int] = lambda: resident_bytes() + device_bytes(),
        patience_s: float = 60.0,
    ) -> None:
        self._loaded, self._limit_bytes = loaded, limit_bytes
        self._evict, self._used = evict, used
        self._turn, self._patience_s = threading.Lock(), patience_s

    @contextmanager
    def loading(self, host: ModelHost) -> Iterator[None]:
        """Measure a load, and keep the limit before and after it.

        Args:
            host: of the model.

        Raises:
            ResourceExhausted: the model does not fit.
        """
        if host.spec.is_remote:
            yield
            return
        alone = self._turn.acquire(timeout=self._patience_s)
        if not alone:
            _LOG.warning("a load takes more than %g s; loading %s", self._patience_s, host.name)
        try:
            on_disk = file_bytes(host.spec)
            self._make_room(host, max(on_disk, host.memory_bytes))
            before = self._used()
            yield
            host.memory_bytes = max(on_disk, self._used() - before)
            self._make_room(host, host.memory_bytes)
        finally:
            if alone:
                self._turn.release()

    def _make_room(self, host: ModelHost, wanted: int) -> None:
        """Evict models until `wanted` bytes for this one fit."""
        limit = self._limit_bytes
        while limit is not None:
            others = [other for other in self._loaded() if other is not host]
            held = sum(other.memory_bytes for other in others)
            if held + wanted <= limit:
                return
            # the model that this one replaces answers until then
            free = [other for other in others if other.spec.name != host.spec.name]
            free = [other for other in free if other.memory_bytes]
            if self._evict is None or not free or wanted > limit:
                raise ResourceExhausted(_refusal(host, wanted, held, limit, self._evict is None))
            self._evict(min(free, key=lambda other: other.last_used))


def file_bytes(spec: ModelSpec) -> int:
    """Return the size of the model's file or folder; 0 if the source is another.

    Args:
        spec: source of the model.
    """
    path = Path(spec.source)
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _refusal(host: ModelHost, wanted: int, held: int, limit: int, may_evict: bool) -> str:
    mega = 1 << 20
    remedy = "unload a model, raise the limit" + (", or allow eviction" if may_evict else "")
    return (
        f"{host.name} needs {wanted / mega:.0f} MiB and others hold {held / mega:.0f} MiB of "
        f"{limit / mega:.0f} MiB; {remedy}"
    )
