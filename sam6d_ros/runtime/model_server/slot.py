"""Place of one model name in a registry, and the limits of the registry."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sam6d_ros.runtime.model_server.host import ModelHost, ModelReport, ModelState


@dataclass(frozen=True)
class RegistryOptions:
    """Limits and times of a registry.

    Attributes:
        max_models: most models, failed ones included.
        memory_bytes: of all models together; None sets no limit.
        evict: whether the model unused for longest is unloaded at the limit; its next request
            loads it again. Otherwise the new model is refused.
        drain_s: time for requests that wait for a model that is replaced or unloaded.
        patience_s: time for the call in progress after that.
        load_s: for how long a load waits for the one before it.
        log_period_s: between two log lines of a model in use.
    """

    max_models: int = 32
    memory_bytes: int | None = None
    evict: bool = False
    drain_s: float = 30.0
    patience_s: float = 30.0
    load_s: float = 60.0
    log_period_s: float = 60.0


@dataclass(eq=False)
class Slot:
    """Place of one name.

    Attributes:
        host: the one that serves, has failed to load, or was evicted; None before the first.
        coming: the one that is being loaded to take its place.
        kept: whether the model stands in the file.
        evicted: whether ``host`` was unloaded to free memory.
    """

    host: ModelHost | None = None
    coming: ModelHost | None = None
    kept: bool = False
    evicted: bool = False

    @property
    def serves(self) -> bool:
        """Whether the slot holds a model, or is to load it again."""
        return self.host is not None and (self.evicted or self.host.loaded)

    @property
    def hosts(self) -> list[ModelHost]:
        """The hosts of the slot, the one that answers first."""
        return [host for host in (self.host, self.coming) if host is not None]

    def report(self) -> ModelReport:
        """Return the state of its model."""
        report = self.hosts[0].report()
        if self.host is None:
            return replace(report, state=ModelState.LOADING)
        return replace(report, state=ModelState.EVICTED) if self.evicted else report
