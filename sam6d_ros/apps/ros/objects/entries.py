"""Entries of the objects file ↔ ``ObjectEntry`` messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from geometry_msgs.msg import Vector3

from sam6d_ros.apps.ros.node.spec import share_folder
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import ObjectEntry, read_entry
from sam6d_ros.errors import NotAllowed
from sam6d_ros.msg import ObjectEntry as EntryMessage
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.srv import AddObject


def entry_messages(objects: ObjectSet) -> list[EntryMessage]:
    """All objects of an engine."""
    return [entry_message(m, objects.entries.get(name)) for name, m in objects.models.items()]


def entry_message(model: ObjectModel, entry: ObjectEntry | None) -> EntryMessage:
    """Return the message of one object; without an entry it was made by the program."""
    x, y, z = (float(extent) for extent in model.box_size)
    message = EntryMessage(
        name=model.name,
        diameter=float(model.diameter),
        size=Vector3(x=x, y=y, z=z),
        symmetric=model.symmetries.is_symmetric,
        content_hash=model.content_hash,
    )
    if entry is not None:
        message.mesh, message.unit = str(entry.mesh.resolve()), entry.unit
        message.options = entry.options
    return message


def entry_from(message: EntryMessage | AddObject.Request, roots: Sequence[str] = ()) -> ObjectEntry:
    """Return the entry that a message states.

    Args:
        message: from any peer of the graph.
        roots: folders in which its files must lie, links resolved, and the materials and textures
            of the mesh beside it; none: any folder.

    Raises:
        InvalidObjects: something of it is unusable; names the key and the remedy.
        NotAllowed: a file lies outside the roots; whether it exists is not revealed.
    """
    entry = read_entry(message.name, message.mesh, message.unit, message.options, share_folder)
    for key, path in (("mesh", entry.mesh), ("templates", entry.templates)):
        if roots and path is not None and not _is_below(path, roots):
            raise NotAllowed(
                f"object {message.name!r}: {key} is outside the folders of parameter object_roots; "
                "move the file, or start the node with its folder in object_roots"
            )
    return replace(entry, confined=bool(roots))


def _is_below(path: Path, roots: Sequence[str]) -> bool:
    try:
        whole = path.resolve()
        return any(whole.is_relative_to(Path(root).expanduser().resolve()) for root in roots)
    except (OSError, RuntimeError):  # a loop of links, a name that is too long
        return False
