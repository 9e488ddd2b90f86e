"""Arrays that are slow to make, kept on disk under a key that names all they depend on."""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray]

CHECKSUM = "checksum"  # array of an entry beside those that were stored


def load_or_build(key: str, build: Callable[[], Arrays], cache_dir: Path | None) -> Arrays:
    """Return the arrays stored under a key, or build and store them.

    A damaged entry is rebuilt with a warning; a folder that cannot be written costs a warning
    and the next start's time, never the result. Several processes may write: an entry is complete.

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
    """Return the SHA-256 (hex) of byte strings, each preceded by its length.

    Args:
        parts: text or bytes; the lengths keep ("ab", "c") and ("a", "bc") apart.

    Returns:
        64 hexadecimal digits.
    """
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
            arrays = {name: stored[name] for name in stored.files}
        _check(arrays)
    except Exception as error:  # zipfile and numpy raise a dozen types on damaged bytes
        log.warning("the cache entry %s is damaged (%s); it is built anew", path, error)
        return None
    arrays.pop(CHECKSUM, None)
    return arrays


def _check(arrays: Arrays) -> None:
    """Raise ValueError if something is not as it was stored, or not finite."""
    # Entries written before checksums were introduced have none.
    if CHECKSUM in arrays and str(arrays[CHECKSUM]) != _checksum(arrays):
        raise ValueError("the checksum does not fit")
    for name, values in arrays.items():
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            raise ValueError(f"{name} has values that are not finite")


def _checksum(arrays: Arrays) -> str:
    """SHA-256 of names, types, shapes and values."""
    parts: list[bytes | str] = []
    for name in sorted(arrays.keys() - {CHECKSUM}):
        values = np.ascontiguousarray(arrays[name])
        parts += [name, str(values.dtype), str(arrays[name].shape), values.tobytes()]
    return digest(parts)


def _store(path: Path, arrays: Arrays) -> None:
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            checked = {**arrays, CHECKSUM: np.array(_checksum(arrays))}
            np.savez(file, **checked)  # type: ignore[arg-type]
        temporary.replace(path)
    except OSError as error:
        log.warning("the cache %s cannot be written (%s); set another folder", path.parent, error)
        if temporary is not None:
            temporary.unlink(missing_ok=True)
