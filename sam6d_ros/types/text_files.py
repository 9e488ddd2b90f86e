"""Text files of bounded size: no device or pipe is waited for or read without an end."""

from __future__ import annotations

from pathlib import Path

from sam6d_ros.errors import InvalidInput

MAX_BYTES = 64 * 2**20  # BOP's scene_gt.json of 100,000 images has 40 MB


def read_text(
    path: Path, what: str, error: type[InvalidInput], encoding_errors: str = "strict"
) -> str:
    """Return the text of a UTF-8 file.

    Args:
        path: a regular file.
        what: name of the file in messages.
        error: type of the errors.
        encoding_errors: as of ``open``.

    Raises:
        InvalidInput: (as ``error``) it is no regular file, is too large or cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    try:
        if path.exists() and not path.is_file():
            raise error(f"{what} {path} is no regular file; give a text file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as problem:  # ValueError: a name with a zero byte
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{what} {path} cannot be read: {reason}") from problem
    if len(data) > MAX_BYTES:
        raise error(f"{what} {path} has more than {MAX_BYTES // 2**20} MiB; expected a text file")
    return data.decode("utf-8", encoding_errors)
