"""Folder in which the shells keep the machine code of the compiled loops."""

from __future__ import annotations

import os
import sys

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.stages.kernels import store

VARIABLE = "NUMBA_CACHE_DIR"  # of numba; read when it is imported


def keep_compiled_loops() -> None:
    """Keep the compiled loops in the user's cache; call first in ``main``.

    Beside the sources, as is numba's default, they would be lost with the clone, and a system-wide
    installation would have no place for them. A folder that the user set stays.
    """
    if VARIABLE in os.environ:
        return
    folder = store.code_folder(default_cache_dir())
    os.environ[VARIABLE] = str(folder)
    if "numba" in sys.modules:
        store.keep_in(folder)
