"""Removal of folders of compiled loops that no version of the package has used for a month.

A process that uses a folder holds a shared lock on a file in it, and sets the time of that file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time
from functools import cache
from pathlib import Path
from typing import TextIO

USED = "used"  # file whose time is that of the last start of a program
NAME = re.compile("[0-9a-f]{16}")  # of a folder of ``store.code_folder``
REMOVED = ".removed-"  # start of the name of a folder that is being removed
UNUSED_S = 30 * 86400.0


@cache  # the lock lasts as long as the process
def use(folder: Path) -> TextIO | None:
    """Mark a folder as used now, and keep it from being removed while this process runs.

    Args:
        folder: of the loops of this version; it is made.

    Returns:
        The locked file; None on a file system without locks.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            file = (folder / USED).open("a")
            os.utime(folder / USED)
            fcntl.flock(file, fcntl.LOCK_SH)
            if _is_at(file, folder / USED):
                return file
            file.close()  # the folder was removed meanwhile
            continue
        return None


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def remove_unused(loops: Path, now: float | None = None) -> list[str]:
    """Remove the folders that no program has used for ``UNUSED_S``, and that none uses now.

    A folder of a version that marks none is marked, and removed that much later.

    Args:
        loops: parent of the folders.
        now: seconds since 1970 (default: the clock's).

    Returns:
        Names of the removed folders.
    """
    oldest = (time.time() if now is None else now) - UNUSED_S
    removed = []
    for folder in sorted(loops.iterdir()):
        with contextlib.suppress(OSError):  # another process removes it, or it is not ours
            if folder.name.startswith(REMOVED):
                shutil.rmtree(folder, ignore_errors=True)
            elif not NAME.fullmatch(folder.name):
                continue
            elif not (folder / USED).exists():
                (folder / USED).touch()
            elif (folder / USED).stat().st_mtime < oldest and _remove(folder):
                removed.append(folder.name)
    return removed


def _remove(folder: Path) -> bool:
    """Remove a folder unless a process uses it."""
    with (folder / USED).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        away = folder.with_name(f"{REMOVED}{os.getpid()}-{folder.name}")
        folder.rename(away)
    shutil.rmtree(away, ignore_errors=True)
    return True
