"""Damaged state files: kept under another name, so that the next write does not destroy them."""

from __future__ import annotations

import logging
from pathlib import Path

_LOG = logging.getLogger(__name__)


def put_aside(path: Path, problem: str) -> None:
    """Rename a file that cannot be used to ``NAME.damaged-N``, and log that.

    Args:
        path: the file.
        problem: for the log; no secrets.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        path.rename(aside)
    except OSError as cause:
        _LOG.error("cannot read %s (%s) nor rename it (%s)", path, problem, cause.strerror)
        return
    _LOG.error("cannot read %s (%s); it is kept as %s", path, problem, aside.name)
