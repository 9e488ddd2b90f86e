"""Per-object data of the stages: computed once per engine, freed with the object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import PipelineConfig

T = TypeVar("T")


class ObjectLibrary:
    """Values that the stages of one engine derive from objects, shared by all of them.

    A model is held weakly: what was derived from an object is freed once the engine drops it. A
    derived value must therefore not refer to its model.
    """

    def __init__(self) -> None:
        self._derived: WeakKeyDictionary[ObjectModel, dict[Any, Any]] = WeakKeyDictionary()
        self._passing: WeakKeyDictionary[ObjectModel, dict[Any, Any]] = WeakKeyDictionary()

    def derived(self, model: ObjectModel, build: Callable[[ObjectModel], T]) -> T:
        """Return ``build(model)``, computed at the first call.

        Args:
            model: the object.
            build: identifies the value; equal functions share it, so that a stage passes a
                function at module level, a bound method or a frozen dataclass with ``__call__``.
        """
        return _once(self._derived, model, build)

    def passing(self, model: ObjectModel, build: Callable[[ObjectModel], T]) -> T:
        """Return ``build(model)``, kept while it is prepared, of one object at a time.

        For large values that several stages read while they prepare an object.

        Args:
            model: the object.
            build: as of :meth:`derived`.
        """
        if model not in self._passing:
            self._passing.clear()
        return _once(self._passing, model, build)

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Drop at the end what :meth:`passing` kept."""
        try:
            yield
        finally:
            self._passing.clear()


def _once(
    values: WeakKeyDictionary[ObjectModel, dict[Any, Any]],
    model: ObjectModel,
    build: Callable[[ObjectModel], T],
) -> T:
    of_model = values.setdefault(model, {})
    if build not in of_model:
        of_model[build] = build(model)
    value: T = of_model[build]
    return value


@dataclass(frozen=True)
class BuildContext:
    """Settings and library from which the stages of one engine are built.

    Attributes:
        config: settings of the pipeline.
        cache_dir: folder where per-object data is kept across runs, or None.
        library: per-object data in memory, one per engine.
    """

    config: PipelineConfig
    cache_dir: Path | None = None
    library: ObjectLibrary = field(default_factory=ObjectLibrary)
