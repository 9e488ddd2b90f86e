"""Protocol of the access to an engine that a shell does not own."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sam6d_ros.runtime.objects import ObjectChange, ObjectSet
from sam6d_ros.runtime.request import Request
from sam6d_ros.runtime.status import HostStatus

Offered = TypeVar("Offered", contravariant=True)
T = TypeVar("T")


@dataclass(frozen=True)
class HostCounts:
    """Work that did not go through at once.

    Attributes:
        waiting: requests that wait now.
        rejected: requests refused because the queue was full.
        dropped: items replaced by newer ones since ``activate``.
        refused: items offered while the host did not serve.
    """

    waiting: int
    rejected: int
    dropped: int
    refused: int


class EngineHost(Protocol[Offered]):
    """Access of a shell to an engine that runs elsewhere: in a thread, a process or on a machine.

    Attributes:
        status: record of its events.
    """

    status: HostStatus

    @property
    def objects(self) -> ObjectSet:
        """The objects that the engine looks for; empty without an engine."""

    def submit(self, request: Request[T]) -> Future[T]:
        """Queue a request.

        Args:
            request: the work.

        Returns:
            A future with the result.
        """

    def offer(self, item: Offered) -> bool:
        """Offer the newest item; it replaces one that still waits.

        Args:
            item: a frame, for example.

        Returns:
            Whether it was taken; False if the host does not serve.
        """

    def change(self, change: ObjectChange) -> Future[ObjectSet]:
        """Change the objects, as a whole or not at all.

        Args:
            change: objects to add, replace or remove.

        Returns:
            A future with the objects in force.
        """

    def drain(self, timeout_s: float) -> bool:
        """Refuse new requests and finish those that wait.

        Args:
            timeout_s: longest wait, seconds.

        Returns:
            Whether all of it was finished within the timeout.
        """
