"""The CAD models of a BOP dataset: millimetres, with their symmetries in models_info.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.objects import ObjectEntry
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.cad.symmetry import from_bop
from sam6d_ros.errors import InvalidDataset, InvalidInput

_SUFFIXES = (".ply", ".obj", ".glb", ".stl")  # in this order when an object has several


def load_bop_models(
    models_dir: Path | str,
    obj_ids: Iterable[int] | None = None,
    cache_dir: Path | None = None,
) -> list[ObjectModel]:
    """Onboard objects of a BOP models folder, in the order of ``obj_ids``.

    Names come from ``models_info.json`` where it has them, else they are ``obj_000001`` and so
    on; symmetries are those of ``models_info.json`` (none where it states none).

    Args:
        models_dir: folder with ``obj_000001.ply`` … and, if known, ``models_info.json``.
        obj_ids: which; all files of the folder by default.
        cache_dir: folder of the cache, or None.

    Raises:
        InvalidDataset: the folder, an object's file or its information is missing or unusable.
        InvalidMesh: a mesh is unusable.
    """
    return [
        onboard(
            entry.mesh,
            entry.name,
            unit=entry.unit,
            symmetries=entry.symmetries,
            cache_dir=cache_dir,
        )
        for entry in list_bop_models(models_dir, obj_ids)
    ]


def list_bop_models(
    models_dir: Path | str, obj_ids: Iterable[int] | None = None
) -> list[ObjectEntry]:
    """The same objects, not yet onboarded; raises the same InvalidDataset."""
    models_dir = Path(models_dir)
    infos = read_models_info(models_dir)
    files = _model_files(models_dir)
    entries = []
    for obj_id in sorted(files) if obj_ids is None else obj_ids:
        if obj_id not in files:
            raise InvalidDataset(
                f"{models_dir} has no obj_{obj_id:06d}.ply; it has the objects {sorted(files)}"
            )
        info = infos.get(obj_id, {})
        try:
            symmetries = from_bop(info)
        except InvalidInput as error:
            where = f"{models_dir}/models_info.json, object {obj_id}"
            raise InvalidDataset(f"{where}: {error}") from error
        name = str(info.get("name") or f"obj_{obj_id:06d}")
        entries.append(ObjectEntry(name, files[obj_id], "mm", symmetries))
    return entries


def read_models_info(models_dir: Path) -> dict[int, dict[str, Any]]:
    """``models_info.json`` by object id; empty when there is none.

    Raises:
        InvalidDataset: the file is not a map of objects.
    """
    path = models_dir / "models_info.json"
    if not path.is_file():
        return {}
    try:
        return {int(key): dict(value) for key, value in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidDataset(f"{path} is not a map of object ids to maps: {error}") from error


def _model_files(models_dir: Path) -> dict[int, Path]:
    if not models_dir.is_dir():
        raise InvalidDataset(f"the models folder {models_dir} does not exist")
    files: dict[int, Path] = {}
    for suffix in reversed(_SUFFIXES):
        for path in models_dir.glob(f"obj_*{suffix}"):
            if path.stem[4:].isdigit():
                files[int(path.stem[4:])] = path
    return files
