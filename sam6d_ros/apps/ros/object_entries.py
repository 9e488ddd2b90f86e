"""Entries of the objects file ↔ ``ObjectEntry`` messages."""

from __future__ import annotations

from geometry_msgs.msg import Vector3

from sam6d_ros.apps.ros.engines import share_folder
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import ObjectEntry, read_entry
from sam6d_ros.msg import ObjectEntry as EntryMessage
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.srv import AddObject


def entry_messages(objects: ObjectSet) -> list[EntryMessage]:
    """All objects of an engine."""
    return [entry_message(m, objects.entries.get(name)) for name, m in objects.models.items()]


def entry_message(model: ObjectModel, entry: ObjectEntry | None) -> EntryMessage:
    """What is told of one object; without an entry it was made by the program."""
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


def entry_from(message: EntryMessage | AddObject.Request) -> ObjectEntry:
    """The entry that a message states.

    Raises:
        InvalidObjects: something of it is unusable; names the key and the remedy.
    """
    return read_entry(message.name, message.mesh, message.unit, message.options, share_folder)
