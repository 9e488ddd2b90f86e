"""Objects of an engine as immutable values: snapshots, changes and differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import with_settings
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.cad.objects import ObjectEntry, load_entry
from sam6d_ros.errors import UnknownName
from sam6d_ros.runtime.engine import Engine

T = TypeVar("T")

# Of one object: (content hash, settings). Equal pairs give equal results.
Content = tuple[str, ObjectSettings]


@dataclass(frozen=True, eq=False)
class ObjectSet:
    """Objects of an engine at one moment; two sets are equal if their contents are.

    Attributes:
        models: by name, in the order of addition.
        entries: the stated entries, by name; objects made by a program have none.
        settings: by name; an object without any has the default ones.
        source: of the last ``ObjectChange.only``; it is no content.
    """

    models: Mapping[str, ObjectModel] = field(default_factory=dict)
    entries: Mapping[str, ObjectEntry] = field(default_factory=dict)
    settings: Mapping[str, ObjectSettings] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", MappingProxyType(dict(self.models)))
        entries = {name: entry for name, entry in self.entries.items() if name in self.models}
        object.__setattr__(self, "entries", MappingProxyType(entries))
        settings = {name: self.settings.get(name, ObjectSettings()) for name in self.models}
        object.__setattr__(self, "settings", MappingProxyType(settings))

    @classmethod
    def of(cls, engine: Engine) -> ObjectSet:
        """Return the objects that an engine looks for now.

        Args:
            engine: the engine.
        """
        return cls(engine.objects, engine.entries, engine.settings)

    @property
    def contents(self) -> dict[str, Content]:
        """Content of each object by name."""
        return {n: (model.content_hash, self.settings[n]) for n, model in self.models.items()}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ObjectSet):
            return NotImplemented
        return [*self.contents.items()] == [*other.contents.items()]

    def __hash__(self) -> int:
        return hash(tuple(self.contents.items()))


@dataclass(frozen=True)
class ObjectChange:
    """Change of the objects of an engine, applied as a whole or not at all.

    Attributes:
        put: objects to add; each replaces one of the same name.
        remove: names of objects to remove.
        replace_all: whether every object that is not in ``put`` is removed.
        settings: new settings by name, of objects that are there afterwards; no object is
            prepared again for them.
        source: where all objects come from (a file), if ``replace_all``.
    """

    put: tuple[ObjectEntry | ObjectModel, ...] = ()
    remove: tuple[str, ...] = ()
    replace_all: bool = False
    settings: Mapping[str, ObjectSettings] = field(default_factory=dict)
    source: str = ""

    @classmethod
    def add(cls, *objects: ObjectEntry | ObjectModel) -> ObjectChange:
        """Return the addition of objects; each replaces one of the same name."""
        return cls(put=objects)

    @classmethod
    def drop(cls, *names: str) -> ObjectChange:
        """Return the removal of objects."""
        return cls(remove=names)

    @classmethod
    def only(cls, objects: Iterable[ObjectEntry | ObjectModel], source: str = "") -> ObjectChange:
        """Return the change to these objects, from a source, and no others.

        Args:
            objects: entries or onboarded objects.
            source: of the objects, for messages.
        """
        return cls(put=tuple(objects), replace_all=True, source=source)

    @classmethod
    def together(cls, changes: Iterable[ObjectChange]) -> ObjectChange:
        """Return additions, removals and settings of several changes as one.

        Args:
            changes: the changes, in their order.
        """
        changes = tuple(changes)
        return cls(
            put=tuple(item for change in changes for item in change.put),
            remove=tuple(name for change in changes for name in change.remove),
            settings={n: s for change in changes for n, s in change.settings.items()},
        )


@dataclass(frozen=True)
class WantedObject:
    """Object that another process lists.

    Attributes:
        name: of the object.
        content_hash: of its model there.
        entry: its entry; None if there is none that can be loaded here.
    """

    name: str
    content_hash: str
    entry: ObjectEntry | None

    @property
    def settings(self) -> ObjectSettings:
        """Settings of the object; the default ones without an entry."""
        return self.entry.settings if self.entry else ObjectSettings()


def difference(current: ObjectSet, wanted: Sequence[WantedObject]) -> tuple[ObjectChange, ...]:
    """Return the changes that lead from the current objects to the wanted ones.

    The first change removes the objects that are not wanted or have another content, and changes
    settings. One change for each missing object with an entry follows, so that an unusable mesh
    keeps only its own object from being added.

    Args:
        current: objects in force.
        wanted: objects by name and content.
    """
    target = {item.name: item for item in wanted}
    here = current.contents
    kept = {n for n in here if n in target and here[n][0] == target[n].content_hash}
    gone = tuple(name for name in here if name not in kept)
    other = {n: target[n].settings for n in kept if here[n][1] != target[n].settings}
    first = (ObjectChange(remove=gone, settings=other),) if gone or other else ()
    missing = (item.entry for name, item in target.items() if name not in kept and item.entry)
    return (*first, *map(ObjectChange.add, missing))


@dataclass(frozen=True)
class OnboardedChange:
    """Change with the models of its new objects.

    Attributes:
        change: the change.
        models: of ``change.put``, in its order.
    """

    change: ObjectChange
    models: tuple[ObjectModel, ...]


def onboard_change(engine: Engine, change: ObjectChange) -> OnboardedChange:
    """Onboard the new objects of a change; the engine may do other work meanwhile.

    Args:
        engine: the engine.
        change: objects to add, replace or remove.

    Returns:
        The change with its objects onboarded.

    Raises:
        UnknownName: an object to remove or to change is not there.
        InvalidMesh: a mesh is unusable.
    """
    _check_known(change, engine.objects)
    return OnboardedChange(
        change,
        tuple(
            item if isinstance(item, ObjectModel) else load_entry(item, engine.cache_dir)
            for item in change.put
        ),
    )


def apply_onboarded(engine: Engine, onboarded: OnboardedChange) -> ObjectSet:
    """Apply an onboarded change to an engine that does no other work; a failure changes nothing.

    Args:
        engine: the engine.
        onboarded: of :func:`onboard_change`.

    Returns:
        The objects in force.

    Raises:
        UnknownName: an object to remove or to change is not there.
    """
    change, present = onboarded.change, ObjectSet.of(engine)
    _check_known(change, present.models)
    gone = {*present.models} if change.replace_all else {*change.remove}
    models = _without(present.models, gone)
    entries, settings = _without(present.entries, gone), _without(present.settings, gone)
    for item, model in zip(change.put, onboarded.models, strict=True):
        models[item.name] = _kept_if_equal(present.models.get(item.name), item, model)
        entries.pop(item.name, None)
        settings[item.name] = ObjectSettings()
        if not isinstance(item, ObjectModel):
            entries[item.name], settings[item.name] = item, item.settings
    for name, new in change.settings.items():
        settings[name] = new
        if name in entries:
            entries[name] = with_settings(entries[name], new)
    engine.take_objects(models, entries, settings)
    return ObjectSet.of(engine)


def apply_change(engine: Engine, change: ObjectChange) -> ObjectSet:
    """Onboard and apply a change; a failure leaves the engine as it was.

    Args:
        engine: the engine.
        change: objects to add, replace or remove.

    Returns:
        The objects in force.

    Raises:
        UnknownName: an object to remove or to change is not there.
        InvalidMesh: a mesh is unusable.
    """
    return apply_onboarded(engine, onboard_change(engine, change))


def _check_known(change: ObjectChange, models: Mapping[str, ObjectModel]) -> None:
    """Refuse a removal of what is not there, and settings of what is not there afterwards."""
    gone = {*models} if change.replace_all else {*change.remove}
    after = [name for name in models if name not in gone]
    after += [item.name for item in change.put if item.name not in after]
    for names, there in ((change.remove, [*models]), (change.settings, after)):
        if unknown := sorted(name for name in names if name not in there):
            raise UnknownName(f"no object is named {unknown[0]!r}; there are {there}")


def _without(values: Mapping[str, T], gone: set[str]) -> dict[str, T]:
    return {name: value for name, value in values.items() if name not in gone}


def _kept_if_equal(
    present: ObjectModel | None, item: ObjectEntry | ObjectModel, model: ObjectModel
) -> ObjectModel:
    """Return the present model if an entry gives an equal one: it is prepared already."""
    if present is None or isinstance(item, ObjectModel):
        return model
    return present if present.content_hash == model.content_hash else model
