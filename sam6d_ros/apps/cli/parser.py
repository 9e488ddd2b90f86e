"""Parser of `sam6d` whose errors name what was probably meant."""

from __future__ import annotations

import argparse
import re
from difflib import get_close_matches
from typing import NoReturn

from sam6d_ros.cad.mesh_files import SUFFIXES

CHOICE = re.compile(r"invalid choice: '(?P<word>[^']*)' \(choose from (?P<known>.*)\)")
EXTRA = re.compile(r"unrecognized arguments: (?P<words>.*)")


class CommandParser(argparse.ArgumentParser):
    """Parser of the command and of its subcommands, which argparse makes of the same class."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message with a remedy, and end with exit code 2.

        Args:
            message: of argparse.
        """
        super().error(message + remedy(message))


def remedy(message: str) -> str:
    """Return what was probably meant, to follow an error of argparse; or "".

    Args:
        message: of argparse.
    """
    if found := CHOICE.search(message):  # Python 3.14 has suggest_on_error for this
        known = re.findall(r"[^\s,']+", found["known"])
        near = get_close_matches(found["word"], known, n=1)
        return f"; did you mean {near[0]!r}?" if near else ""
    if found := EXTRA.search(message):
        meshes = [word for word in found["words"].split() if word.lower().endswith(SUFFIXES)]
        options = " ".join(f"--cad {word}" for word in meshes)
        return f"; state --cad once for each file: {options}" if meshes else ""
    return ""
