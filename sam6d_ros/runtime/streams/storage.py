"""File of the streams of a server: private, written whole or not at all."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from sam6d_ros.errors import InvalidInput, ResourceExhausted
from sam6d_ros.runtime.damaged import put_aside
from sam6d_ros.runtime.streams.spec import StreamSpec

log = logging.getLogger(__name__)

MODE = 0o600  # the addresses hold credentials
VERSION = 1


class StreamFile:
    """JSON file of stream descriptions by id.

    Args:
        path: of the file; made at the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, StreamSpec]:
        """Return the stored streams.

        Entries that cannot be used are logged and left out; the whole file is kept as
        ``NAME.damaged-N``.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            put_aside(self.path, type(error).__name__)
            return {}
        try:
            entries = dict(json.loads(text)["streams"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            put_aside(self.path, f"no list of streams: {type(error).__name__}")
            return {}
        found: dict[str, StreamSpec] = {}
        problems = []
        for key, values in entries.items():
            try:
                found[key] = StreamSpec.from_values(dict(values))
            except (InvalidInput, TypeError, ValueError) as error:
                problems.append(f"stream {key}: {error}")
        if problems:
            put_aside(self.path, "; ".join(problems))
            self._keep(found)
        return found

    def _keep(self, specs: Mapping[str, StreamSpec]) -> None:
        """Store the usable entries of a damaged file."""
        try:
            self.write(specs)
        except ResourceExhausted as error:
            log.warning("%s", error)

    def write(self, specs: Mapping[str, StreamSpec]) -> None:
        """Replace the file.

        Args:
            specs: streams by id.

        Raises:
            ResourceExhausted: it cannot be written; the old file stays.
        """
        try:
            self._write(specs)
        except OSError as error:
            raise ResourceExhausted(
                f"the streams cannot be stored in {self.path.name}: {error.strerror}; free the "
                "disk, or give the server a folder that it may write to"
            ) from error

    def _write(self, specs: Mapping[str, StreamSpec]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        streams = {key: asdict(spec) for key, spec in specs.items()}
        text = json.dumps({"version": VERSION, "streams": streams}, indent=1)
        new = self.path.with_name(f"{self.path.name}.new")
        new.unlink(missing_ok=True)  # it may have another mode
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
