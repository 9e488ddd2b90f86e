"""Entry point of `sam6d`: the parser, and the one place where errors become exit codes."""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence

from sam6d_ros import __version__
from sam6d_ros.apps.cli.commands import (
    completion,
    demo,
    detect,
    detector,
    estimate,
    evaluate,
    label,
    onboard,
    process_bag,
    record,
    replay,
    scan,
    serve,
    triton,
    weights,
)
from sam6d_ros.apps.cli.parser import CommandParser
from sam6d_ros.apps.compiled_loops import keep_compiled_loops
from sam6d_ros.apps.environment import allow_openexr
from sam6d_ros.apps.threads import share_the_cores
from sam6d_ros.runtime.error_table import handling_of, message_of

INTERRUPTED = 130

DESCRIPTION = """\
6D poses of known objects from an RGB-D frame and CAD models.

Poses are camera_from_object: they take a point of the CAD model (metres, its own origin) into
the camera optical frame (x right, y down, z forward, metres)."""

EPILOG = """\
exit codes: 0 done, 2 bad input (named in one line), 3 nothing found (the reason is printed),
            4 this machine or the weights cannot do it, 1 a defect of this program

try:  sam6d estimate --help"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        share_the_cores()
        keep_compiled_loops()
        allow_openexr()
        args = build_parser().parse_args(argv)
        level = logging.INFO if args.verbose else logging.WARNING
        logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
        return int(args.run(args))
    except KeyboardInterrupt:
        print("sam6d: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # the one place: see runtime/error_table
        return report(error)


def report(error: Exception) -> int:
    """Print an error, a defect with its traceback; return the exit code."""
    handling = handling_of(error)
    if handling.with_traceback:
        traceback.print_exception(error)
    print(f"sam6d: {message_of(error)}", file=sys.stderr)
    return handling.exit_code


def build_parser() -> argparse.ArgumentParser:
    """The parser with all subcommands; each sets ``run`` to its function."""
    parser = CommandParser(
        prog="sam6d",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sam6d_ros {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log progress to stderr")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    poses = (estimate, evaluate, onboard, scan, weights, demo, process_bag, replay, record)
    for module in (*poses, label, detect, detector, triton, serve):
        module.add_parser(commands)
    completion.add_parser(commands, parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
