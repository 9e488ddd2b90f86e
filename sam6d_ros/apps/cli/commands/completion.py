"""`sam6d completion`: a script by which a shell completes commands, options and files."""

from __future__ import annotations

import argparse
from functools import partial

from sam6d_ros.apps.cli.options import add_command
from sam6d_ros.errors import BackendUnavailable, install_extra

DESCRIPTION = """\
Print a script that completes commands, options and file names of `sam6d`.

examples:
  sam6d completion bash > ~/.local/share/bash-completion/completions/sam6d
  sam6d completion zsh > ~/.zfunc/_sam6d"""
SHELLS = ("bash", "zsh")


def add_parser(commands: argparse._SubParsersAction, root: argparse.ArgumentParser) -> None:
    """Register the subcommand.

    Args:
        commands: subparsers of ``sam6d``.
        root: the parser of ``sam6d``, whose words are completed.
    """
    parser = add_command(commands, "completion", "completion script for a shell", DESCRIPTION)
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=partial(run, root))


def run(root: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Print the script.

    Returns:
        Exit code.

    Raises:
        BackendUnavailable: shtab is not installed.
    """
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"`sam6d completion` needs shtab, which is not installed; {install_extra('completion')}"
        ) from error
    print(shtab.complete(root, args.shell))
    return 0
