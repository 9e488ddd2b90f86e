"""Limits on requests: the size of bodies, and the folders in which clients may name files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sam6d_ros.errors import InvalidInput, NotAllowed, TooLarge

MAX_PATH_CHARACTERS = 4096  # PATH_MAX of Linux


@dataclass(frozen=True)
class Roots:
    """Folders that clients may name files in.

    A path is resolved first, symbolic links and ``..`` included, and must then lie below a root.

    Attributes:
        read: folders to read from.
        write: folders to write to.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()

    @classmethod
    def of(cls, roots: Sequence[Path], read_only: Sequence[Path] = ()) -> Roots:
        """Return resolved roots."""
        write = tuple(root.resolve() for root in roots)
        return cls((*write, *(root.resolve() for root in read_only)), write)

    def readable(self, text: str, name: str) -> Path:
        """Return the resolved path of something that exists below a root.

        Args:
            text: path as the client gave it.
            name: of the field, for the message.

        Raises:
            NotAllowed: it lies outside the roots; whether it exists is not revealed.
            InvalidInput: it is no path, or does not exist.
        """
        path = self._below(text, name, self.read)
        if not _exists(path):
            raise InvalidInput(f"{name} {text!r:.300} does not exist on the server")
        return path

    def writable(self, text: str, name: str) -> Path:
        """Return the resolved path of a folder below a root; made if it is missing.

        Raises:
            NotAllowed: it lies outside the roots.
            InvalidInput: it is no path, or no folder can be made there.
        """
        path = self._below(text, name, self.write)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(
                f"{name} {text!r:.300} cannot be made: {error.strerror or error}"
            ) from error
        return path

    def _below(self, text: str, name: str, roots: Sequence[Path]) -> Path:
        if not text or "\0" in text or len(text) > MAX_PATH_CHARACTERS:
            raise InvalidInput(f"{name} is {text!r:.100}; expected a path")
        path = Path(text)
        if not path.is_absolute():
            raise InvalidInput(f"{name} is {text!r:.300}; expected an absolute path of the server")
        try:
            path = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:  # loop of links, lone surrogate
            raise InvalidInput(f"{name} {text!r:.300} cannot be resolved") from error
        if not any(path.is_relative_to(root) for root in roots):
            raise NotAllowed(
                f"{name} {text!r:.300} is outside the folders that this server opens to clients; "
                "start it with --allow-root FOLDER, or upload the file"
            )
        return path


def _exists(path: Path) -> bool:
    """Whether something is at a path; not so if its name is too long or may not be looked at."""
    try:
        return path.exists()
    except OSError:
        return False


def check_count(name: str, count: int, most: int) -> None:
    """Refuse more items than allowed.

    Raises:
        TooLarge: with the count and the limit.
    """
    if count > most:
        raise TooLarge(f"{name} has {count} entries; at most {most} are taken in one request")
