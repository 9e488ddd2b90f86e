"""Fetching the released weights files: resumable, checked, from a mirror if need be. No torch."""

from __future__ import annotations

import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from sam6d_ros.errors import CheckpointError, InvalidConfig
from sam6d_ros.models.weights import (
    BLOCK,
    WeightsFile,
    expected_sha256,
    hash_file,
    partial_path,
    sidecar,
    verify,
)

TIMEOUT_S = 60.0
MAX_BYTES = 8 * 1024**3  # three times the largest released file
Progress = Callable[[int, "int | None"], None]


def address(file: WeightsFile, mirror: str | None) -> str:
    """Official address, or the file's name under a mirror."""
    if mirror is None:
        return file.url
    if urllib.parse.urlsplit(mirror).scheme not in ("http", "https"):
        raise InvalidConfig(f"mirror {mirror!r} is not an http(s) address")
    return f"{mirror.rstrip('/')}/{file.name}"


def fetch(
    folder: Path,
    file: WeightsFile,
    mirror: str | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Fetch a file unless it is there and sound; continue a broken download.

    Args:
        folder: weights folder, made when missing.
        file: which.
        mirror: address of a folder with the files under their names, instead of the official one.
        offline: use what is there, never the network.
        progress: called with (bytes so far, total or None).

    Returns:
        Path of the file.

    Raises:
        CheckpointError: it cannot be fetched, or what came is not the published file.
    """
    state = verify(folder, file)
    if state.present:
        if not state.sound:
            raise CheckpointError(f"{state.path}: {state.problem}; delete it and fetch it again")
        return state.path
    if offline:
        raise CheckpointError(
            f"{state.path} is missing and offline mode forbids fetching it; "
            f"copy it there from {file.url}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    url, path = address(file, mirror), folder / file.name
    try:
        _download(url, partial_path(path), file, progress)
    except (urllib.error.URLError, HTTPException, OSError) as error:
        raise CheckpointError(
            f"{file.name} could not be fetched from {url}: {error}; run the command again to go "
            "on where it stopped, name another source with --mirror, or copy the file to "
            f"{folder} by hand"
        ) from error
    return _accept(partial_path(path), path, file, url)


def _download(url: str, part: Path, file: WeightsFile, progress: Progress | None) -> None:
    """Append to the partial file, from its end where the server can, else from the start."""
    have = part.stat().st_size if part.is_file() else 0
    if file.size is not None and have >= file.size:
        return  # complete, or too long: the checksum decides
    request = urllib.request.Request(url, headers={"User-Agent": "sam6d_ros"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing follows: all of it is here
            return
        raise
    with response:
        resumed = response.status == 206
        with part.open("ab" if resumed else "wb") as out:
            limit = MAX_BYTES if file.size is None else max(file.size, have)
            try:
                _copy(response, out.write, have if resumed else 0, limit, progress)
            except CheckpointError:
                part.unlink()
                raise


def _copy(
    response: HTTPResponse,
    write: Callable[[bytes], int],
    done: int,
    limit: int,
    progress: Progress | None,
) -> None:
    length = response.headers.get("Content-Length")
    total = done + int(length) if length is not None else None
    if total is not None and total > limit:
        raise CheckpointError(f"the server offers {total:,} bytes; expected at most {limit:,}")
    while block := response.read(BLOCK):
        if done + len(block) > limit:
            raise CheckpointError(f"the server sends more than {limit:,} bytes; it was stopped")
        write(block)
        done += len(block)
        if progress is not None:
            progress(done, total)
    if total is not None and done < total:
        raise HTTPException(f"the connection ended after {done} of {total} bytes")


def _accept(part: Path, path: Path, file: WeightsFile, url: str) -> Path:
    """Check a complete download and give it its name; what fails is removed."""
    found, expected = hash_file(part), file.sha256 or expected_sha256(path, file)
    if expected is not None and found != expected:
        size = part.stat().st_size
        part.unlink()
        raise CheckpointError(
            f"what {url} gave ({size} bytes, sha256 {found[:16]}…) is not {file.name} "
            f"({expected[:16]}…); it was deleted"
        )
    if expected is None and _looks_like_a_page(part):
        part.unlink()
        raise CheckpointError(
            f"{url} gave a web page instead of {file.name} (a download quota?); fetch the file "
            f"with a browser, put it at {path}, and run `sam6d weights verify`"
        )
    os.replace(part, path)
    sidecar(path).write_text(f"{found}  {path.name}\n")
    return path


def _looks_like_a_page(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(64).lstrip().lower().startswith((b"<!doctype", b"<html"))
