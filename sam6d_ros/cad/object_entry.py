"""One entry of the objects file, read and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import yaml

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.cad.symmetry.group import MAX_GROUP, SAME_STATED_RAD, complete, from_bop, turn
from sam6d_ros.cad.units import UNITS
from sam6d_ros.cad.yaml_entries import MAX_NAME, YamlEntry, dump_plain, shown
from sam6d_ros.errors import InvalidInput, InvalidObjects
from sam6d_ros.types.yaml_text import load_plain

SETTINGS_KEYS = ("min_score", "max_instances", "detector_classes")
KEYS = ("name", "mesh", "unit", "symmetries", "templates", *SETTINGS_KEYS)
REQUEST_KEYS = ("name", "mesh", "unit")
SYMMETRY_KEYS = ("continuous", "discrete", "rotations")

# Characters; a group of 100 stated motions has some 20,000. PyYAML takes 1 s for 100,000.
MAX_OPTIONS = 64 * 1024

PackageResolver = Callable[[str], Path]


@dataclass(frozen=True)
class ObjectEntry:
    """One entry of the objects file, checked.

    Attributes:
        name: class id.
        mesh: file, resolved.
        unit: one of ``units.UNITS``.
        symmetries: "auto", "none" or the motions (metres).
        settings: what may change without preparing the object again.
        templates: folder of SAM-6D's template files, resolved, or None.
        options: the keys beside name, mesh and unit as they were stated, YAML; to be handed on.
        confined: whether the mesh may refer to files of its own folder only.
    """

    name: str
    mesh: Path
    unit: str = "auto"
    symmetries: Symmetries | str = "auto"
    settings: ObjectSettings = field(default_factory=ObjectSettings)
    templates: Path | None = None
    options: str = field(default="", compare=False)
    confined: bool = field(default=False, compare=False)


def read_entry(
    name: str, mesh: str, unit: str, options: str, resolve_package: PackageResolver | None = None
) -> ObjectEntry:
    """Check one object that is stated in words, not in a file.

    Args:
        name: class id.
        mesh: as in an objects file, but a path must be absolute.
        unit: as in an objects file; empty is "auto".
        options: YAML map of the further keys, or empty.
        resolve_package: returns the share folder of a ROS package, for ``package://``.

    Returns:
        The entry.

    Raises:
        InvalidObjects: something of it is unusable; names the key and the remedy.
    """
    where = f"object {shown(name)}"
    if len(options) > MAX_OPTIONS:
        raise InvalidObjects(
            f"{where}: options has {len(options):,} characters; expected at most {MAX_OPTIONS:,}"
        )
    try:
        further = load_plain(options) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidObjects(f"{where}: options is not plain YAML: {error}") from error
    if not isinstance(further, Mapping) or any(key in further for key in REQUEST_KEYS):
        allowed = ", ".join(key for key in KEYS if key not in REQUEST_KEYS)
        text = f"{where}: options is {options!r:.80}; expected a map of {allowed}, or nothing"
        raise InvalidObjects(text)
    item = {**further, "name": name, "mesh": mesh, "unit": unit or "auto"}
    return ObjectEntryReader(where, None, item, resolve_package).entry()


def with_settings(entry: ObjectEntry, settings: ObjectSettings) -> ObjectEntry:
    """Return the entry with other settings, in ``options`` as well.

    Args:
        entry: the entry.
        settings: the new ones.
    """
    further = yaml.safe_load(entry.options) or {}
    kept = {key: value for key, value in further.items() if key not in SETTINGS_KEYS}
    options = _options({**kept, **stated_settings(settings)})
    return replace(entry, settings=settings, options=options)


def stated_settings(settings: ObjectSettings) -> dict[str, Any]:
    """Return the settings that are stated, as an objects file holds them.

    Args:
        settings: the settings; what is None or empty is left out.
    """
    values = {key: getattr(settings, key) for key in SETTINGS_KEYS}
    names = {"detector_classes": list(settings.detector_classes) or None}
    return {key: value for key, value in {**values, **names}.items() if value is not None}


def _options(further: Mapping[str, Any]) -> str:
    return dump_plain(dict(further)) if further else ""


class ObjectEntryReader(YamlEntry):
    """Reads one entry.

    Args:
        where: the beginning of every complaint.
        folder: what a relative mesh is relative to; None refuses it.
        item: what YAML gave.
        resolve_package: gives the share folder of a ROS package for ``package://``.
    """

    error = InvalidObjects

    def __init__(
        self, where: str, folder: Path | None, item: Any, resolve_package: PackageResolver | None
    ) -> None:
        super().__init__(where, item)
        self.folder, self.resolve_package = folder, resolve_package

    def entry(self) -> ObjectEntry:
        """Return the checked entry.

        Raises:
            InvalidInput: (``error``) a key or a value is wrong.
        """
        self.check_keys("name and mesh", KEYS)
        unit = self.item.get("unit", "auto")
        if unit not in UNITS:
            raise self.fail("unit", f"is {shown(unit)}; expected one of {UNITS}")
        return ObjectEntry(
            self.text("name", MAX_NAME),
            self.path("mesh"),
            unit,
            self.symmetries(),
            self.settings(),
            self.templates(),
            self.options(),
        )

    def options(self) -> str:
        """Return the keys beyond the first four as YAML text."""
        further = {k: v for k, v in self.item.items() if k not in REQUEST_KEYS}
        templates = self.templates()
        if templates is not None:
            further["templates"] = str(templates.absolute())
        return _options(further)

    def templates(self) -> Path | None:
        """Return the folder of template files, or None."""
        return None if self.item.get("templates") is None else self.path("templates")

    def path(self, key: str) -> Path:
        """Return the path of a file or folder that the entry names.

        Args:
            key: of the entry.

        Returns:
            Path of ``file://``, ``package://``, or relative to the folder of the objects file.

        Raises:
            InvalidInput: (``error``) it is no path, or of another scheme.
        """
        text = self.text(key)
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
        if "\0" in text:
            raise self.fail(key, "has a NUL character")
        if scheme is None and self.folder is None and not Path(text).is_absolute():
            raise self.fail(key, f"is {text!r}; expected an absolute path, file:// or package://")
        if scheme is None:
            return (self.folder or Path()) / text
        if scheme.group(1) == "file":
            path = unquote(text[len("file://") :])
            if not path.startswith("/"):
                raise self.fail(key, f"is {text!r}; a file URL has three slashes: file:///{path}")
            return Path(path)
        if scheme.group(1) != "package":
            raise self.fail(key, f"is {text!r}; expected package://, file:// or a path")
        return self.package_file(key, text)

    def package_file(self, key: str, text: str) -> Path:
        """Return the path of a ``package://PACKAGE/FILE``.

        Args:
            key: of the entry, for the error text.
            text: the address.

        Returns:
            Path in the share folder of the package.

        Raises:
            InvalidInput: (``error``) there is no such package, or no workspace.
        """
        try:
            parts = urlparse(text)
        except ValueError as error:
            raise self.fail(key, f"{text!r} is not package://PACKAGE/FILE: {error}") from error
        package, file = parts.netloc, unquote(parts.path).lstrip("/")
        if not package or not file:
            raise self.fail(key, f"is {text!r}; expected package://PACKAGE/FILE")
        if self.resolve_package is None:
            raise self.fail(
                key, f"{text!r} needs a sourced ROS workspace; use file:// or a relative path"
            )
        try:
            return Path(self.resolve_package(package)) / file
        except Exception as error:  # ament raises its own types, of which nothing is known here
            text = f"the ROS package {package!r} is not found ({error}); source its workspace"
            raise self.fail(key, text) from error

    def settings(self) -> ObjectSettings:
        """Return threshold, limit and detector classes of the entry.

        Raises:
            InvalidInput: (``error``) a value is out of its range.
        """
        score, most = self.item.get("min_score"), self.item.get("max_instances")
        if score is not None:
            score = self.number("min_score", None, "a number in [0, 1]", 0.0, 1.0)
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise self.fail("max_instances", f"is {shown(most)}; expected a whole number from 1")
        return ObjectSettings(score, most, self.detector_classes())

    def detector_classes(self) -> tuple[str, ...]:
        """Return the class names by which a detector reports the object.

        Raises:
            InvalidInput: (``error``) it is no list of names.
        """
        names = [] if (given := self.item.get("detector_classes")) is None else given
        if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
            raise self.fail("detector_classes", f"is {shown(names)}; expected a list of names")
        return tuple(names)

    def symmetries(self) -> Symmetries | str:
        """Return the stated group, or "auto" or "none".

        Raises:
            InvalidInput: (``error``) a key or a motion is wrong.
        """
        value = self.item.get("symmetries", "auto")
        if value in ("auto", "none"):
            return str(value)
        if not isinstance(value, Mapping):
            raise self.fail("symmetries", f"is {shown(value)}; expected auto, none or a map")
        unknown = [key for key in value if key not in SYMMETRY_KEYS]
        if unknown:
            raise self.fail(
                "symmetries", f"{shown(unknown[0])} is unknown; expected {SYMMETRY_KEYS}"
            )
        for key, items in value.items():
            if not isinstance(items, list):
                raise self.fail(f"symmetries.{key}", f"is {shown(items)}; expected a list")
        try:
            return _group(value)
        except InvalidInput as error:
            raise self.fail("symmetries", str(error)) from error


def _group(value: Mapping[str, Any]) -> Symmetries:
    """The group generated by what the entry states."""
    given = from_bop(
        {
            "symmetries_discrete": value.get("discrete", ()),
            "symmetries_continuous": value.get("continuous", ()),
        },
        metres_per_unit=1.0,
    )
    motions = list(given.discrete)
    for index, item in enumerate(value.get("rotations", ())):
        name = f"rotations[{index}]"
        order = item.get("order", 2) if isinstance(item, Mapping) else None
        if isinstance(order, bool) or not isinstance(order, int) or not 2 <= order <= MAX_GROUP:
            raise InvalidInput(
                f"{name} is {shown(item)}; expected {{axis: …, order: 2 to {MAX_GROUP}}}; state a "
                "continuous axis in place of a higher order"
            )
        line = from_bop({"symmetries_continuous": [item]}, metres_per_unit=1.0).axes[0]
        motions += list(turn(line[0], line[1], 2 * np.pi / order * np.arange(1, order)))
    return Symmetries(complete(np.stack(motions), given.axes, SAME_STATED_RAD), given.axes)
