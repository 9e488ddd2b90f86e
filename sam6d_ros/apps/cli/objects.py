"""CAD files named on the command line become onboarded objects."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sam6d_ros.apps.cli.options import CONSOLE
from sam6d_ros.apps.environment import share_folder
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.cad.objects import load_objects, read_objects_file
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.cad.units import UNITS
from sam6d_ros.errors import InvalidObjects


def add_object_options(parser: argparse.ArgumentParser) -> None:
    """Add options of the objects: CAD files, an objects file, or both; see ``load_models``."""
    group = parser.add_argument_group("objects (at least one)")
    group.add_argument(
        "--cad",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="PLY, OBJ, STL or GLB; several times for several objects; named by the file",
    )
    group.add_argument("--objects", type=Path, metavar="YAML", help="objects file with names")
    add_unit_option(group)


def add_unit_option(parser: argparse._ActionsContainer) -> None:
    """The unit of the CAD files."""
    parser.add_argument(
        "--cad-unit",
        choices=UNITS,
        default="auto",
        help="unit of the CAD files; auto (default) takes m or mm by the size; a size that "
        "fits neither, or not the scene, is refused",
    )


def read_settings(args: argparse.Namespace) -> dict[str, ObjectSettings]:
    """Return the settings of the objects file (``args.objects``) by name; none without a file.

    Raises:
        InvalidObjects: the file is unusable.
    """
    if args.objects is None:
        return {}
    return {entry.name: entry.settings for entry in read_objects_file(args.objects, share_folder)}


def load_models(args: argparse.Namespace, meshes: Sequence[Path]) -> list[ObjectModel]:
    """Onboard the CAD files and those of the objects file (``args.objects``).

    Returns:
        The objects.

    Raises:
        InvalidObjects: none is given, or two have one name.
        InvalidMesh: a file is unusable.
    """
    models = []
    for path in meshes:
        with CONSOLE.status(f"onboarding {path.name}"):
            models.append(onboard(path, unit=args.cad_unit, cache_dir=args.cache_dir))
    if args.objects is not None:
        with CONSOLE.status(f"onboarding the objects of {args.objects.name}"):
            models.extend(
                load_objects(args.objects, cache_dir=args.cache_dir, resolve_package=share_folder)
            )
    names = [model.name for model in models]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidObjects(
            f"several CAD models are named {twice}; give them names of their own in an objects "
            "file (--objects)"
        )
    if not models:
        raise InvalidObjects("no CAD model is given; use --cad FILE or --objects YAML")
    return models
