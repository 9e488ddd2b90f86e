"""Ids of instances: never empty, unique in one result."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar

from sam6d_ros.errors import InvalidInput


class Instance(Protocol):
    """Frozen dataclass with the name of its class and its id."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def class_id(self) -> str:
        """Name of the object in the objects file."""

    @property
    def instance_id(self) -> str:
        """Name of the physical object, or empty."""


Item = TypeVar("Item", bound=Instance)


def named(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return the items; those without an id get the next free ``<class>_<number>``, from 0.

    Args:
        items: detections or poses of one frame.

    Raises:
        InvalidInput: two items have one id: it names one physical object.
    """
    given = Counter(item.instance_id for item in items if item.instance_id)
    if twice := [name for name, count in given.items() if count > 1]:
        raise InvalidInput(f"several instances have the id {twice[0]!r}; expected one each")
    next_number: Counter[str] = Counter()
    out = []
    for item in items:
        name = item.instance_id
        while not name:
            free = f"{item.class_id}_{next_number[item.class_id]}"
            next_number[item.class_id] += 1
            name = "" if free in given else free
        out.append(item if item.instance_id else replace(item, instance_id=name))
    return tuple(out)
