"""Lock on the state folder of a server: two servers would overwrite each other's files."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from sam6d_ros.errors import BackendUnavailable

_LOG = logging.getLogger(__name__)
NAME = ".lock"


class FolderLock:
    """Exclusive use of a folder until ``release`` or the end of the process.

    Args:
        folder: made if it is missing. One that cannot be written to is not locked: nothing can be
            stored there.

    Raises:
        BackendUnavailable: another process has it.
    """

    def __init__(self, folder: Path) -> None:
        self._file: int | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            _LOG.warning(
                "%s cannot be written to (%s); nothing outlives a restart. Set --data-dir",
                folder,
                error.strerror,
            )
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise BackendUnavailable(
                f"another server uses the folder {folder}; give this one another (--data-dir)"
            ) from error

    def release(self) -> None:
        """Give the folder back; a second call has no effect."""
        if self._file is not None:
            os.close(self._file)
        self._file = None
