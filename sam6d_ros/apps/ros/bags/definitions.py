"""Message types by name: the class to read them with, the definition to write into a bag.

Both come from the installed message packages, through the ament index, so that there is no second
set of types: a distribution and the wheels have the same files there.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from sam6d_ros.errors import InvalidBag

# Between the parts of a definition, as rosbag2 and MCAP have it (mcap.dev/spec/registry, ros2msg).
SEPARATOR = "=" * 80


@dataclass(frozen=True)
class Definition:
    """Definition of a type, as a bag has it.

    Attributes:
        text: the .msg file, then those of all types in it, each under a line with its name.
        rihs01: hash of the type (REP-2016), ``RIHS01_…``.
    """

    text: str
    rihs01: str


@lru_cache
def message_class(type_name: str) -> Any:
    """Return the Python class of ``package/msg/Type``.

    Raises:
        InvalidBag: no such type is installed here.
    """
    package, _, name = _parts(type_name)
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise _not_installed(type_name) from error


@lru_cache
def definition(type_name: str) -> Definition:
    """Return the definition of ``package/msg/Type`` as rosbag2 writes it.

    Raises:
        InvalidBag: no such type is installed here, or not as a .msg file.
    """
    try:
        # Written beside every .msg since Iron: the hashes of the type and of all types in it.
        hashes = json.loads(_share_file(type_name, ".json").read_text("utf-8"))["type_hashes"]
        names = [entry["type_name"] for entry in hashes]
        texts = {name: _share_file(name, ".msg").read_text("utf-8") for name in names}
    except (OSError, PackageNotFoundError) as error:
        raise _not_installed(type_name) from error
    parts = [texts[type_name]]
    for name in names:
        if name != type_name:
            parts.append(f"{SEPARATOR}\nMSG: {name.replace('/msg/', '/')}\n{texts[name]}")
    hash_of = {entry["type_name"]: entry["hash_string"] for entry in hashes}
    return Definition("\n".join(parts), hash_of[type_name])


def type_name_of(message_type: Any) -> str:
    """``package/msg/Type`` of a message class."""
    return f"{message_type.__module__.split('.')[0]}/msg/{message_type.__name__}"


def _share_file(type_name: str, suffix: str) -> Path:
    package, kind, name = _parts(type_name)
    return Path(get_package_share_directory(package)) / kind / f"{name}{suffix}"


def _parts(type_name: str) -> tuple[str, str, str]:
    parts = type_name.split("/")
    if len(parts) != 3 or parts[1] != "msg" or not all(part.isidentifier() for part in parts):
        raise InvalidBag(f"{type_name!r} is no message type; expected package/msg/Type")
    return parts[0], parts[1], parts[2]


def _not_installed(type_name: str) -> InvalidBag:
    package = type_name.split("/")[0]
    return InvalidBag(
        f"the type {type_name} is not installed here; install the package {package} and source it"
    )
