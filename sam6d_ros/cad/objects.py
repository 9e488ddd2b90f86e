"""The objects file (``config/objects.yaml``): which CAD models to look for, and how.

objects:
  - name: mug
    mesh: package://my_robot/meshes/mug.obj     # or file:///…, or relative to this file
    unit: mm                                    # m, cm, mm, inch, ft or auto (default)
    min_score: 0.4                              # lower scores are not returned; default: common
    max_instances: 2                            # at most so many in one result; default: common
    detector_classes: [cup, mug]                # names of a 2D detector; default: the name
    templates: templates/mug                    # folder of SAM-6D's templates; default: rendered
    symmetries: none                            # auto (default), none, or a map:
  - name: bolt
    mesh: meshes/bolt.stl
    symmetries:                                 # translations in metres
      continuous: [{axis: [0, 0, 1], offset: [0, 0, 0]}]
      rotations: [{axis: [1, 0, 0], order: 2, offset: [0, 0, 0.01]}]
      discrete: [[1, 0, 0, 0,  0, -1, 0, 0,  0, 0, -1, 0,  0, 0, 0, 1]]
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import (
    ObjectEntry,
    ObjectEntryReader,
    PackageResolver,
    stated_settings,
)
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.cad.template_files import with_templates
from sam6d_ros.cad.yaml_entries import read_entries
from sam6d_ros.errors import InvalidMesh, InvalidObjects, TooLarge

__all__ = ["ObjectEntry", "load_entry", "load_objects", "read_objects_file", "write_objects_file"]


def load_objects(
    path: Path | str,
    *,
    cache_dir: Path | None = None,
    resolve_package: PackageResolver | None = None,
) -> list[ObjectModel]:
    """Onboard every object of an objects file, in its order.

    Args:
        path: the YAML file.
        cache_dir: folder of the cache, or None.
        resolve_package: gives the share folder of a ROS package for ``package://``.

    Returns:
        The objects, in the order of the file.

    Raises:
        InvalidObjects: the file is unusable; names file, entry, key and remedy.
        InvalidMesh, TooLarge: a mesh is unusable; names file and object.
    """
    models = []
    for entry in read_objects_file(path, resolve_package):
        try:
            models.append(load_entry(entry, cache_dir))
        except (InvalidMesh, TooLarge) as error:
            raise type(error)(f"{path}: {error}") from error
    return models


def load_entry(
    entry: ObjectEntry, cache_dir: Path | None = None, confined: bool = False
) -> ObjectModel:
    """Onboard the object of one entry; raises what ``onboard`` and ``with_templates`` do.

    Args:
        entry: entry of an objects file.
        cache_dir: folder of the cache, or None.
        confined: see ``onboard``.

    Returns:
        The object.
    """
    model = onboard(
        entry.mesh,
        entry.name,
        unit=entry.unit,
        symmetries=entry.symmetries,
        cache_dir=cache_dir,
        confined=confined or entry.confined,
    )
    return model if entry.templates is None else with_templates(model, entry.templates)


def read_objects_file(
    path: Path | str, resolve_package: PackageResolver | None = None
) -> list[ObjectEntry]:
    """Read and check the entries of an objects file.

    Args:
        path: of the file.
        resolve_package: returns the share folder of a ROS package; None refuses ``package://``.

    Returns:
        The entries, in the order of the file.

    Raises:
        InvalidObjects: the file is unusable; names file, entry, key and remedy.
    """
    path = Path(path)
    example = "[{name, mesh}, …]"
    try:
        items = read_entries(path, "the objects file", "objects", list, example, InvalidObjects)
    except InvalidObjects as error:
        if isinstance(error.__cause__, FileNotFoundError):
            remedy = f"write one to fill in: sam6d onboard --template {path}"
            raise InvalidObjects(f"{error}; {remedy}") from error
        raise
    entries: list[ObjectEntry] = []
    for index, item in enumerate(items):
        entry = ObjectEntryReader(
            f"{path}, objects[{index}]", path.parent, item, resolve_package
        ).entry()
        if any(entry.name == other.name for other in entries):
            raise InvalidObjects(
                f"{path}, objects[{index}].name: {entry.name!r} is there twice; name each once"
            )
        entries.append(entry)
    return entries


def write_objects_file(path: Path | str, entries: Sequence[ObjectEntry], note: str = "") -> None:
    """Write entries that ``read_objects_file`` reads back; mesh paths relative to the file.

    Args:
        path: of the file.
        entries: the objects.
        note: line of comment at the top.
    """
    path = Path(path)
    content = {"objects": [_plain(entry, path.parent) for entry in entries]}
    comment = f"# {note}\n" if note else ""
    path.write_text(comment + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _plain(entry: ObjectEntry, folder: Path) -> dict[str, Any]:
    mesh = os.path.relpath(entry.mesh.resolve(), folder.resolve())
    out: dict[str, Any] = {"name": entry.name, "mesh": mesh, "unit": entry.unit}
    if isinstance(entry.symmetries, str):
        out["symmetries"] = entry.symmetries
    elif not entry.symmetries.is_symmetric:
        out["symmetries"] = "none"
    else:
        out["symmetries"] = {
            "discrete": [motion.ravel().tolist() for motion in entry.symmetries.discrete[1:]],
            "continuous": [
                {"axis": direction.tolist(), "offset": offset.tolist()}
                for direction, offset in entry.symmetries.axes
            ],
        }
    if entry.templates is not None:
        out["templates"] = os.path.relpath(entry.templates.resolve(), folder.resolve())
    return {**out, **stated_settings(entry.settings)}
