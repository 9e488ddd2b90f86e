"""Objects that clients upload to one replica, shared with all others and with later ones.

One actor of the cluster holds them, onboarded. A replica that changes them notifies the others;
each requests what it lacks. They last as long as the cluster.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.errors import NotReady
from sam6d_ros.fleet.connect import NAMESPACE, import_ray

ACTOR = "uploaded_objects"
ANSWER_S = 30.0


@dataclass(frozen=True)
class UploadedObject:
    """Object of a client.

    Attributes:
        model: onboarded.
        entry: as it was stated.
    """

    model: ObjectModel
    entry: ObjectEntry


@dataclass(frozen=True)
class News:
    """Difference of the shared objects from those of a replica.

    Attributes:
        new: objects that the replica lacks, or has in an older version, by name.
        versions: of all shared objects by name.
    """

    new: Mapping[str, UploadedObject]
    versions: Mapping[str, int]


class Shelf:
    """Shared objects, pickled; Ray makes an actor of it."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[int, bytes]] = {}
        self._count = 0

    def put(self, name: str, packed: bytes) -> int:
        """Take an object in place of a namesake; return its version."""
        self._count += 1
        self._objects[name] = (self._count, packed)
        return self._count

    def drop(self, name: str) -> None:
        """Drop an object."""
        self._objects.pop(name, None)

    def news(self, known: Mapping[str, int]) -> tuple[dict[str, bytes], dict[str, int]]:
        """Return the objects whose version is not known, and the versions of all."""
        versions = {name: version for name, (version, _) in self._objects.items()}
        new = {n: self._objects[n][1] for n, version in versions.items() if known.get(n) != version}
        return new, versions


class SharedObjects:
    """Access of a replica to the shared objects.

    Raises:
        BackendUnavailable: Ray is not installed.
    """

    def __init__(self) -> None:
        self._ray = import_ray()
        options = {"num_cpus": 0, "max_restarts": -1, "lifetime": "detached"}
        named = {"name": ACTOR, "namespace": NAMESPACE, "get_if_exists": True}
        self._shelf = self._ray.remote(Shelf).options(**options, **named).remote()

    async def put(self, uploaded: UploadedObject) -> int:
        """Share an object.

        Returns:
            Its version.

        Raises:
            NotReady: the cluster does not answer.
        """
        # A copy does not carry what was derived from the model.
        plain = replace(uploaded, model=replace(uploaded.model))
        version: int = await self._answer(
            self._shelf.put.remote(plain.model.name, pickle.dumps(plain))
        )
        return version

    async def drop(self, name: str) -> None:
        """Share an object no longer.

        Raises:
            NotReady: the cluster does not answer.
        """
        await self._answer(self._shelf.drop.remote(name))

    async def news(self, known: Mapping[str, int]) -> News:
        """Return what a replica lacks.

        Raises:
            NotReady: the cluster does not answer.
        """
        packed, versions = await self._answer(self._shelf.news.remote(dict(known)))
        return News({name: pickle.loads(data) for name, data in packed.items()}, versions)

    async def _answer(self, reference: Any) -> Any:
        try:
            return await asyncio.wait_for(reference, ANSWER_S)
        except (self._ray.exceptions.RayError, asyncio.TimeoutError) as error:
            text = f"the shared objects do not answer ({type(error).__name__}); try again"
            raise NotReady(text) from error
