"""Objects that requests name: registered ones, and CAD files, prepared once and kept."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sam6d_ros.apps.http.limits import Roots, check_count
from sam6d_ros.apps.http.objects.store import check_mesh, load_confined
from sam6d_ros.apps.http.objects.templates import Templates, choose_templates, reads_templates
from sam6d_ros.apps.http.schemas.common import FrameBody
from sam6d_ros.apps.http.settings import ServerSettings
from sam6d_ros.cad import mesh_files
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.cad.template_files import signature
from sam6d_ros.errors import InvalidObjects, UnknownName
from sam6d_ros.runtime.host import Host
from sam6d_ros.runtime.objects import ObjectChange

# Path, time and size of the CAD file, its unit, templates and the state of their files and of the
# materials and textures.
Key = tuple[str, int, int, str, tuple[Any, ...]]


@dataclass
class _File:
    """CAD file that is prepared: name in the engine, its materials and textures, and users now."""

    name: str
    companions: tuple[Path, ...] = ()
    users: int = 0


@dataclass(frozen=True)
class Chosen:
    """Objects of one request.

    Attributes:
        names: in the engine, in the order of the request.
        cad_path: the file that was used, or None.
        template_dir: the folder that was named, or None.
        templates: "files" if the views come from template files, else "rendered".
        notes: remarks on the choice.
    """

    names: tuple[str, ...]
    cad_path: str | None
    template_dir: str | None
    templates: Literal["files", "rendered"]
    notes: tuple[str, ...]


class Catalogue:
    """Objects of requests; its methods run on the event loop.

    Args:
        host: of the engine.
        settings: of the server.
        roots: folders of clients.
        convert: runs a function outside the event loop.
    """

    def __init__(
        self,
        host: Host[Any],
        settings: ServerSettings,
        roots: Roots,
        convert: Callable[..., Any],
    ) -> None:
        self._host, self._settings, self._roots = host, settings, roots
        self._convert = convert
        self._files: OrderedDict[Key, _File] = OrderedDict()
        self._adding = asyncio.Lock()
        self._left = asyncio.Event()  # a request that used a CAD file has ended

    @property
    def file_names(self) -> set[str]:
        """Names of the objects that came from CAD files of requests."""
        return {file.name for file in self._files.values()}

    @asynccontextmanager
    async def chosen(self, body: FrameBody) -> AsyncIterator[Chosen]:
        """Prepare the objects of a request and keep them while it runs.

        Yields:
            Names, file and templates of the objects.

        Raises:
            UnknownName: an object is not registered.
            InvalidObjects: the request names none and the server has none.
            InvalidMesh, NotAllowed, TooLarge: the CAD file is unusable.
            InvalidObjects: the templates are unusable.
        """
        cad_path = body.cad_path or (self._settings.cad_path if body.object is None else "")
        templates = choose_templates(
            body, self._settings, self._roots, self._backend, bool(cad_path)
        )
        if not cad_path:
            yield self._chosen(self._registered(body), None, templates)
            return
        path = self._roots.readable(cad_path, "cad_path")
        file = await self._prepared(path, body.cad_unit, templates.folder)
        file.users += 1
        try:
            yield self._chosen((file.name,), str(path), templates)
        finally:
            file.users -= 1
            self._left.set()

    def keep(self, names: Collection[str]) -> None:
        """Count CAD files as used now, for tracking sessions that name no file any more."""
        for key, file in [*self._files.items()]:
            if file.name in names:
                self._files.move_to_end(key)

    @property
    def _backend(self) -> str:
        return self._host.status.snapshot().backend

    def _chosen(self, names: tuple[str, ...], cad_path: str | None, templates: Templates) -> Chosen:
        models = [self._host.objects.models.get(name) for name in names]
        has_files = all(model is not None and model.templates is not None for model in models)
        used = has_files and reads_templates(self._backend)
        return Chosen(
            names, cad_path, templates.named, "files" if used else "rendered", templates.notes
        )

    def _registered(self, body: FrameBody) -> tuple[str, ...]:
        here = self._host.objects.models
        listed = [name for name in here if name not in self.file_names]
        wanted = [body.object] if isinstance(body.object, str) else body.object or listed
        if body.object is not None:
            check_count("object", len(wanted), self._settings.limits.names)
        if unknown := [name for name in wanted if name not in here]:
            raise UnknownName(f"no object is named {unknown[0]!r:.100}; there are {listed}")
        if not wanted:
            raise InvalidObjects(
                "the request names no object and the server has none; give cad_path or object, or "
                "start the server with --objects"
            )
        return tuple(dict.fromkeys(wanted))

    async def _prepared(self, path: Path, unit: str, templates: Path | None) -> _File:
        """Return the prepared file; onboard it at the first use, and again when it changed."""
        status = path.stat()
        state = await self._convert(signature, templates) if templates else ()
        file_state = (str(path), status.st_mtime_ns, status.st_size)
        companions = await self._companions(path, file_state)
        key = (*file_state, unit, (templates, *state, *map(_state, companions)))
        async with self._adding:
            file = self._files.get(key)
            if file is None or file.name not in self._host.objects.models:
                file = self._files[key] = _File(await self._add(path, unit, templates), companions)
            self._files.move_to_end(key)
            await self._drop_oldest()
            return file

    async def _companions(self, path: Path, state: tuple[str, int, int]) -> tuple[Path, ...]:
        """Return the materials and textures of a CAD file, looked up once for each state of it."""
        known = [file.companions for key, file in self._files.items() if key[:3] == state]
        if known:
            return known[-1]
        check_mesh(path, self._settings.limits)
        return tuple(await self._convert(mesh_files.companions, path, True))

    async def _add(self, path: Path, unit: str, templates: Path | None) -> str:
        check_mesh(path, self._settings.limits)
        entry = ObjectEntry(path.stem, path, unit, templates=templates)
        cache_dir, limits = self._settings.cache_dir, self._settings.limits
        model = await self._convert(load_confined, entry, cache_dir, limits)
        model = self._free_name(model)
        if model.name not in self._host.objects.models:
            await asyncio.wrap_future(self._host.change(ObjectChange.add(model)))
        return str(model.name)

    async def release(self, name: str) -> None:
        """Give up a name that a CAD file has, once no request uses it: an upload takes it."""
        async with self._adding:
            while any(f.users for f in self._files.values() if f.name == name):
                await self._left.wait()
                self._left.clear()
            for key, file in [*self._files.items()]:
                if file.name == name:
                    del self._files[key]
                    await self._forget(name)

    def _free_name(self, model: ObjectModel) -> ObjectModel:
        """Return the model under a name that no registered object and no other content has."""
        here = self._host.objects.models.get(model.name)
        own = model.name in self.file_names
        if here is None or (own and here.content_hash == model.content_hash):
            return model
        return replace(model, name=f"{model.name}-{model.content_hash[:8]}")

    async def _drop_oldest(self) -> None:
        """Drop the files that were used longest ago, beyond the limit, unless in use."""
        newest = next(reversed(self._files))
        for key, file in [*self._files.items()]:
            if len(self._files) <= self._settings.limits.objects:
                return
            if not file.users and key != newest:
                del self._files[key]
                await self._forget(file.name)

    async def _forget(self, name: str) -> None:
        if name not in self.file_names and name in self._host.objects.models:
            await asyncio.wrap_future(self._host.change(ObjectChange.drop(name)))


def _state(path: Path) -> tuple[int, int]:
    """Return time and size of a file; zeros if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
