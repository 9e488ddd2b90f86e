"""Interface of a resource that a host serves, and of the function that processes its items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sam6d_ros.pipeline import RunContext


class Resource(Protocol):
    """Loaded thing that requests are served with."""

    @property
    def backend(self) -> str:
        """Name of the library or method that it runs on."""

    @property
    def device(self) -> str:
        """Device that it runs on."""


R = TypeVar("R", bound=Resource)
Item = TypeVar("Item")

# (resource, item, context) → reason of an empty result, or "". ``context.checkpoint()`` raises
# ``NotReady`` once the host has stopped serving; call it just before anything is published.
Process = Callable[[R, Item, RunContext], str]
