"""Routes of registered objects: upload, list, show, delete."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Annotated

import trimesh
from fastapi import APIRouter, File, Form, Query, UploadFile
from fastapi import Request as HttpRequest
from fastapi.responses import Response

from sam6d_ros.apps.http.limits import check_count
from sam6d_ros.apps.http.objects.store import check_name, load_confined
from sam6d_ros.apps.http.routes.common import FAILURES
from sam6d_ros.apps.http.schemas.objects import ObjectAnswer, ObjectOut, ObjectsAnswer
from sam6d_ros.apps.http.services import Services, services_of
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import ObjectEntry, read_entry
from sam6d_ros.errors import InvalidObjects, NotAllowed, NotReady, UnknownName
from sam6d_ros.runtime.objects import ObjectChange

router = APIRouter(prefix="/api/v1/objects", tags=["objects"])
MAX_FILES = 16  # of one upload


@router.post("", status_code=201, response_model=ObjectAnswer, responses=FAILURES)
async def upload(
    http: HttpRequest,
    name: Annotated[str, Form(description="letters, digits, '.', '_' and '-'")],
    mesh: Annotated[
        list[UploadFile], File(description="PLY, OBJ, STL, GLB; with materials and textures")
    ],
    unit: Annotated[str, Form(description="m, cm, mm, inch, ft or auto")] = "auto",
    options: Annotated[
        str, Form(description="symmetries, min_score … as YAML or JSON (docs/objects.md)")
    ] = "",
    replace: Annotated[bool, Query(description="whether a namesake is replaced")] = False,
) -> ObjectAnswer:
    """Register an object: check and onboard its mesh, and keep it over restarts."""
    services = services_of(http)
    services.check_ready()
    check_count("mesh", len(mesh), MAX_FILES)
    check_name(name)
    await services.catalogue.release(name)
    _check_free(services, name, replace)  # before the files are read
    files = [(file.filename or "", await file.read()) for file in mesh]
    async with services.changing:
        _check_free(services, name, replace)  # an upload of the same name may have ended meanwhile
        model = await _register(services, name, files, unit, options)
    return ObjectAnswer(request_id=http.state.request_id, object=_out(services, model))


def _check_free(services: Services, name: str, replace: bool) -> None:
    if name in services.host.objects.models and not replace:
        raise InvalidObjects(f"an object is named {name!r}; delete it, or send ?replace=true")
    if name in services.host.objects.models and name not in services.store.entries:
        raise NotAllowed(f"the object {name!r} was not uploaded; it cannot be replaced")


async def _register(
    services: Services, name: str, files: Sequence[tuple[str, bytes]], unit: str, options: str
) -> ObjectModel:
    settings = services.settings
    path = await services.convert(services.store.receive, name, files)
    try:
        entry = await services.convert(read_entry, name, str(path), unit, options)
        entry = _with_allowed_templates(services, entry)
        model = await services.convert(load_confined, entry, settings.cache_dir, settings.limits)
        # the model, not the entry: the engine would read the mesh again, and unconfined
        change = ObjectChange(put=(model,), settings={name: entry.settings})
        await asyncio.wrap_future(services.host.change(change))
    except BaseException:
        services.store.discard(path)
        raise
    await services.convert(services.store.keep, entry)
    if services.sharing is not None:
        try:
            await services.sharing.put(model, entry)
        except NotReady:  # all replicas have it, or none
            await _remove(services, name)
            raise
    return model


async def _remove(services: Services, name: str) -> None:
    await asyncio.wrap_future(services.host.change(ObjectChange.drop(name)))
    await services.convert(services.store.drop, name)


def _with_allowed_templates(services: Services, entry: ObjectEntry) -> ObjectEntry:
    """Return the entry of a client; a folder of templates must lie below an allowed one."""
    if entry.templates is None:
        return entry
    folder = services.roots.readable(str(entry.templates), "options.templates")
    return dataclasses.replace(entry, templates=folder)


@router.get("", responses={401: FAILURES[401]})
async def list_objects(http: HttpRequest) -> ObjectsAnswer:
    """List the registered objects."""
    services = services_of(http)
    models = services.host.objects.models.values()
    listed = [m for m in models if m.name not in services.catalogue.file_names]
    return ObjectsAnswer(
        request_id=http.state.request_id, objects=[_out(services, model) for model in listed]
    )


@router.get("/{name}", responses={k: FAILURES[k] for k in (401, 404)})
async def show(name: str, http: HttpRequest) -> ObjectAnswer:
    """Describe one object."""
    services = services_of(http)
    model = _model(services, name)
    return ObjectAnswer(request_id=http.state.request_id, object=_out(services, model))


@router.get("/{name}/mesh", responses={k: FAILURES[k] for k in (401, 404)})
async def mesh_of(name: str, http: HttpRequest) -> Response:
    """Return the mesh as PLY, metres, for viewers."""
    services = services_of(http)
    data = await services.convert(_ply, _model(services, name))
    return Response(data, media_type="model/ply")


@router.delete("/{name}", responses={k: FAILURES[k] for k in (401, 403, 404, 503)})
async def delete(name: str, http: HttpRequest) -> ObjectAnswer:
    """Remove an uploaded object and its files."""
    services = services_of(http)
    services.check_ready()
    async with services.changing:
        model = _model(services, name)
        if name not in services.store.entries:
            raise NotAllowed(f"the object {name!r} was not uploaded; it cannot be deleted")
        out = _out(services, model)
        await _remove(services, name)
    if services.sharing is not None:
        await services.sharing.drop(name)
    return ObjectAnswer(request_id=http.state.request_id, object=out)


def _model(services: Services, name: str) -> ObjectModel:
    models = services.host.objects.models
    if name not in models:
        raise UnknownName(f"no object is named {name!r:.100}; there are {list(models)}")
    return models[name]


def _out(services: Services, model: ObjectModel) -> ObjectOut:
    return ObjectOut(
        name=model.name,
        diameter_m=model.diameter,
        box_size_m=[float(size) for size in model.box_size],
        faces=len(model.faces),
        coloured=model.colors is not None,
        symmetries=len(model.symmetries.discrete),
        symmetry_axes=len(model.symmetries.axes),
        unit_note=model.unit_note,
        uploaded=model.name in services.store.entries,
    )


def _ply(model: ObjectModel) -> bytes:
    mesh = trimesh.Trimesh(model.vertices, model.faces, vertex_colors=model.colors, process=False)
    return bytes(mesh.export(file_type="ply"))  # type: ignore[arg-type]
