"""The grasp file (``config/grasps.yaml``): stated grasps of objects, in their CAD frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.yaml_entries import read_entries, shown
from sam6d_ros.errors import InvalidGrasps
from sam6d_ros.grasps.grasp_entry import GraspEntry, GraspEntryReader
from sam6d_ros.grasps.types import GraspSet

GraspFile = Mapping[str, tuple[GraspEntry, ...]]


def read_grasp_file(path: Path | str, max_width: float) -> GraspFile:
    """Read and check the grasps of a grasp file.

    Args:
        path: the YAML file.
        max_width: opening of the gripper, metres: none may be wider.

    Returns:
        Entries by the name of their object.

    Raises:
        InvalidGrasps: the file is unusable; names file, object, entry, key and remedy.
    """
    path = Path(path)
    example = "{OBJECT: [{name, pose, width}, …]}"
    grasps = read_entries(path, "the grasp file", "grasps", dict, example, InvalidGrasps)
    for name, items in grasps.items():
        if not isinstance(name, str) or not isinstance(items, list):
            raise InvalidGrasps(
                f"{path}, grasps.{shown(name)}: is {shown(items)}; expected the name of an object "
                "and a list of its grasps"
            )
    return {
        name: tuple(_entries(f"{path}, grasps.{name}", items, max_width))
        for name, items in grasps.items()
    }


def stated_grasps(file: GraspFile, model: ObjectModel) -> GraspSet:
    """The grasps that the file states for an object, best first; empty when it names none."""
    grasps = [copy for entry in file.get(model.name, ()) for copy in entry.copies(model.symmetries)]
    grasps.sort(key=lambda grasp: -grasp.score)
    return GraspSet(tuple(grasps), "" if grasps else "the grasp file states none")


def _entries(where: str, items: list[Any], max_width: float) -> list[GraspEntry]:
    entries: list[GraspEntry] = []
    for index, item in enumerate(items):
        reader = GraspEntryReader(f"{where}[{index}]", item)
        entry = reader.entry()
        if any(entry.grasp.name == other.grasp.name for other in entries):
            raise reader.fail("name", "is there twice; name each grasp of an object once")
        if entry.grasp.width > max_width:
            raise reader.fail(
                "width", f"is {entry.grasp.width}; the gripper opens {max_width} (max_width)"
            )
        entries.append(entry)
    return entries
