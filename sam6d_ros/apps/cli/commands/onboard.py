"""`sam6d onboard`: what the program makes of CAD files."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from sam6d_ros.apps.cli.objects import add_unit_option, load_models
from sam6d_ros.apps.cli.options import (
    CONSOLE,
    add_cache_option,
    add_command,
    result_console,
)
from sam6d_ros.apps.resources import shipped
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.words import in_words
from sam6d_ros.errors import InvalidInput, InvariantError
from sam6d_ros.geometry.units import MM_PER_M

DESCRIPTION = """\
Read CAD models, decide their unit, measure them, find their symmetries, and keep the result for
later. Run it once per model to see that the size is right before blaming a pose.

examples:
  sam6d onboard mug.ply
  sam6d onboard models/obj_*.ply --cad-unit mm
  sam6d onboard --objects objects.yaml --json
  sam6d onboard --template objects.yaml           write an objects file to fill in"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(
        commands, "onboard", "check CAD models: unit, size, symmetries", DESCRIPTION
    )
    parser.add_argument("meshes", type=Path, nargs="*", metavar="MESH", help="PLY, OBJ, STL, GLB")
    parser.add_argument("--objects", type=Path, metavar="YAML", help="objects file with names")
    parser.add_argument(
        "--template",
        type=Path,
        metavar="FILE",
        help="write a commented objects file to fill in, and stop",
    )
    add_unit_option(parser)
    add_cache_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Onboard and print, or write the template.

    Returns:
        Exit code.

    Raises:
        InvalidInput: the template cannot be written.
    """
    if args.template:
        return write_template(args.template)
    start = time.perf_counter()
    models = load_models(args, args.meshes)
    elapsed = time.perf_counter() - start
    console = result_console()
    if args.json:
        print(json.dumps([values(model) for model in models], indent=1))
        return 0
    for model in models:
        for line in text(model, args.cache_dir):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    noun = "object" if len(models) == 1 else "objects"
    console.print(f"{len(models)} {noun} in {elapsed:.2f} s", highlight=False)
    return 0


def write_template(path: Path) -> int:
    """Write the shipped objects file.

    Returns:
        Exit code.

    Raises:
        InvalidInput: there is a file of this name.
        InvariantError: the package is incomplete.
    """
    template = shipped("config/objects.yaml")
    if template is None:
        raise InvariantError("config/objects.yaml is not in this installation of sam6d_ros")
    if path.exists():
        raise InvalidInput(f"{path} exists and is not overwritten; state another file")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template.read_text())
    CONSOLE.print(f"{path}; next: sam6d onboard --objects {path}", markup=False, soft_wrap=True)
    return 0


def values(model: ObjectModel) -> dict[str, Any]:
    """An object's facts as plain values, metres."""
    return {
        "name": model.name,
        "source": str(model.source) if model.source else None,
        "unit": model.unit_note,
        "diameter_m": model.diameter,
        "box_size_m": [float(value) for value in model.box_size],
        "box_center_m": [float(value) for value in model.obj_from_box[:3, 3]],
        "symmetries": in_words(model.symmetries),
        "shape_symmetries": in_words(model.shape_symmetries),
        "vertices": len(model.vertices),
        "faces": len(model.faces),
        "has_colors": model.colors is not None,
        "content_hash": model.content_hash,
    }


def text(model: ObjectModel, cache_dir: Path) -> list[str]:
    """An object's facts for people, millimetres."""
    box = " × ".join(f"{MM_PER_M * value:.1f}" for value in model.box_size)
    center = ", ".join(f"{MM_PER_M * value:.1f}" for value in model.obj_from_box[:3, 3])
    colors = "coloured" if model.colors is not None else "without colours: only its shape is used"
    return [
        f"{model.name}  ({model.source})",
        f"  unit        {model.unit_note}",
        f"  diameter    {MM_PER_M * model.diameter:.1f} mm",
        f"  box         {box} mm, centre at ({center}) mm of the CAD origin",
        f"  symmetries  {in_words(model.symmetries)}; "
        f"of the shape alone: {in_words(model.shape_symmetries)}",
        f"  mesh        {len(model.faces)} faces, {len(model.vertices)} vertices, {colors}",
        f"  cache       {cache_dir}/object-{model.content_hash}.npz",
    ]
