"""Folder of the machine code of all compiled loops (numba), one per state of their sources.

numba notices a change of a function's own file, but not of functions in other files that it calls.
Therefore the folder's name carries a digest of all sources with compiled loops.

numba writes the index of a function and the code of a signature one after the other. Two processes
that compile two signatures at a time could therefore give one the code of the other: wrong results
without an error. Here a lock file per function keeps them apart. A process that is ended between
the two leaves an entry without code, never one with the code of an earlier state of the source.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import glob
import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sam6d_ros

PACKAGE = Path(sam6d_ros.__file__).parent
SOURCES = ("stages", "models")  # subfolders with compiled loops


def code_folder(cache_dir: Path) -> Path:
    """Return the folder for the loops as they are now.

    Args:
        cache_dir: of the user.
    """
    digest = hashlib.sha256()
    for path in _compiled_sources():
        digest.update(path.read_bytes())
    return cache_dir / "loops" / digest.hexdigest()[:16]


def place() -> str:
    """Return a digest of where the sources lie and of when they were written.

    numba takes code again only for the same file with the same time; another installation of equal
    sources compiles anew.
    """
    digest = hashlib.sha256()
    for path in _compiled_sources():
        digest.update(f"{path} {path.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _compiled_sources() -> Iterator[Path]:
    for part in SOURCES:
        for path in sorted((PACKAGE / part).rglob("*.py")):
            if b"njit" in path.read_bytes():
                yield path


def keep_in(folder: Path) -> None:
    """Keep the code of all loops in a folder, also of those that are loaded already.

    Args:
        folder: of :func:`code_folder`.
    """
    import numba

    config: Any = numba.config
    config.CACHE_DIR = str(folder)
    _lock_files()
    for _, dispatcher in loaded_loops():
        dispatcher.enable_caching()


def _lock_files() -> None:
    """Let numba read and write the files of a function in one process at a time."""
    from numba.core.caching import IndexDataCacheFile

    for name in ("save", "load"):
        if not hasattr(getattr(IndexDataCacheFile, name), "__wrapped__"):
            setattr(IndexDataCacheFile, name, _locked(getattr(IndexDataCacheFile, name)))


def _locked(access: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method of numba's ``IndexDataCacheFile`` in a lock of the function's index file."""

    @functools.wraps(access)
    def alone(files: Any, *args: Any) -> Any:
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):  # no folder yet, or one without locks
                lock = held.enter_context(open(f"{files._index_path}.lock", "w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            if access.__name__ == "save":
                _remove_code_without_entry(files)
            return access(files, *args)

    return alone


def _remove_code_without_entry(files: Any) -> None:
    """Remove the code of a function whose index is of another state of the source.

    numba would number its own code from 1 on, and enter the number before it writes the code.
    """
    if files._load_index():
        return
    index = Path(files._index_path)
    for path in index.parent.glob(f"{glob.escape(index.stem)}.*.nbc"):
        path.unlink(missing_ok=True)


def folder_in_use() -> Path | None:
    """Return the folder that ``keep_in`` or the user's environment set; None without one."""
    import numba

    config: Any = numba.config
    return Path(config.CACHE_DIR) if config.CACHE_DIR else None


def loaded_loops() -> Iterator[tuple[str, Any]]:
    """Yield ``module:function`` and dispatcher of every compiled loop in the loaded modules."""
    from numba.core.dispatcher import Dispatcher

    for module_name, module in sorted(sys.modules.items()):
        if module_name.startswith(f"{sam6d_ros.__name__}."):
            for name, value in sorted(vars(module).items()):
                if isinstance(value, Dispatcher) and value.py_func.__module__ == module_name:
                    yield f"{module_name}:{name}", value
