"""`sam6d weights`: the released checkpoints: which are here, are they sound, get them."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.progress import DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table

from sam6d_ros.apps.cli.options import CONSOLE, add_command, default_weights_dir, result_console
from sam6d_ros.models import weights
from sam6d_ros.models.weights_fetch import fetch
from sam6d_ros.stages.sam6d.settings import SAM_VARIANTS

DONE, UNABLE = 0, 4

DESCRIPTION = """\
The sam6d backend needs three files: SAM, DINOv2 and the Pose Estimation Model of SAM-6D. They are
not part of this package.

examples:
  sam6d weights list                            what is there, what is missing
  sam6d weights fetch                           get what is missing (5 GB with SAM ViT-H)
  sam6d weights fetch --sam vit_b               a smaller SAM (0.4 GB)
  sam6d weights fetch --mirror http://host/dir  from a folder with files of the same names
  sam6d weights verify                          compare all with their checksums

A broken download goes on where it stopped. Files may also be copied into the folder by hand,
as .pth or .safetensors. The Pose Estimation Model's authors publish no checksum: the one of the
first download is written beside the file and compared from then on."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "weights", "released checkpoints of the networks", DESCRIPTION)
    parser.add_argument("action", choices=("list", "verify", "fetch"))
    parser.add_argument(
        "--dir",
        type=Path,
        default=default_weights_dir(),
        help="folder of the checkpoints (default: %(default)s)",
    )
    parser.add_argument("--sam", choices=SAM_VARIANTS, default="vit_h", help="size of SAM")
    parser.add_argument("--mirror", metavar="URL", help="fetch from here instead")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List, verify or fetch."""
    folder = args.dir.expanduser()
    if args.action == "list":
        show(weights.list_files(folder), args.sam)
        return DONE
    if args.action == "fetch":
        for file in weights.required(args.sam):
            fetch_one(folder, file, args.mirror, args.offline)
    with CONSOLE.status("computing checksums"):
        states = [weights.verify(folder, file) for file in weights.required(args.sam)]
    return show(states, args.sam)


def fetch_one(folder: Path, file: weights.WeightsFile, mirror: str | None, offline: bool) -> None:
    """Fetch one file with a progress bar."""
    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=CONSOLE, transient=True) as bar:
        task = bar.add_task(file.name, total=file.size)
        fetch(
            folder,
            file,
            mirror=mirror,
            offline=offline,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def show(states: list[weights.WeightsState], sam_variant: str) -> int:
    """Print a table; the exit code states whether all required files are there and sound."""
    needed = {file.name for file in weights.required(sam_variant)}
    table = Table("file", "network", "state")
    table.add_column("path or source", overflow="fold")
    for state in states:
        good = "ok" if not state.problem else state.problem
        verdict = good if state.present else f"missing{_note(state.problem)}"
        place = str(state.path) if state.present else state.file.url
        mark = "" if state.file.name in needed else " (not used)"
        table.add_row(
            state.file.name, f"{state.file.role} {state.file.variant}{mark}", verdict, place
        )
    result_console().print(table, highlight=False)
    sound = all(state.sound for state in states if state.file.name in needed)
    return DONE if sound else UNABLE


def _note(text: str) -> str:
    return f" ({text})" if text else ""
