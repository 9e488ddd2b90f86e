"""Arrays that are slow to make, kept on disk under a key that names all they depend on."""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray]


def load_or_build(key: str, build: Callable[[], Arrays], cache_dir: Path | None) -> Arrays:
    """Return the arrays stored under a key, or build and store them.

    A damaged entry is rebuilt with a warning; a folder that cannot be written costs a warning
    and the next start's time, never the result. Writers may race: each entry appears whole.

    Args:
        key: names kind, content and code version, such as ``"templates-v3-" + content_hash``.
        build: makes the arrays (no object arrays: they are stored without pickle).
        cache_dir: folder of the cache; None builds each time.
    """
    if cache_dir is None:
        return build()
    path = cache_dir / f"{_file_name(key)}.npz"
    found = _load(path)
    if found is None:
        found = build()
        _store(path, found)
    return found


def digest(parts: Iterable[bytes | str]) -> str:
    """SHA-256 (hex) of byte strings, each preceded by its length, so that they cannot run over."""
    out = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        out.update(len(data).to_bytes(8, "little"))
        out.update(data)
    return out.hexdigest()


def _file_name(key: str) -> str:
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", key)
    if clean == key and len(key) <= 120:
        return key
    return f"{clean[:80]}-{digest([key])[:16]}"


def _load(path: Path) -> Arrays | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        log.warning("the cache entry %s is damaged (%s); it is built anew", path, error)
        return None


def _store(path: Path, arrays: Arrays) -> None:
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            np.savez(file, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    except OSError as error:
        log.warning("the cache %s cannot be written (%s); set another folder", path.parent, error)
        if temporary is not None:
            temporary.unlink(missing_ok=True)
