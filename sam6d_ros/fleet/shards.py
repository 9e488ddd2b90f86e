"""Folder of results that only grows: each shard is complete or absent, whenever a run ends.

``run.json`` states what the results are of; ``shard-000001.jsonl`` and so on hold one record a
line. A shard is written under another name and renamed once it is on the disk. A later record of a
frame replaces an earlier one.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from sam6d_ros.errors import InvalidConfig, InvalidDataset, NotReady
from sam6d_ros.fleet.results import FrameResult, read_line

STATEMENT, LOCK = "run.json", "run.lock"
PREFIX, SUFFIX, UNFINISHED = "shard-", ".jsonl", ".unfinished"
# A run that is killed loses at most these records, and works on their frames again.
MOST_RECORDS, MOST_S = 256, 1.0


class ShardFolder:
    """Results of one run; a context manager that excludes other runs.

    Args:
        folder: made if it is not there.
        statement: what the results are of, JSON values; a folder of another run is refused.
        clock: seconds that never jump.

    Raises:
        InvalidConfig: the folder holds results of other work.
        InvalidDataset: a shard is damaged.
        NotReady: another run writes here.
    """

    def __init__(
        self,
        folder: Path,
        statement: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self._clock = folder, clock
        self._buffer: list[FrameResult] = []
        self._written = -MOST_S + clock()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked()
        self._check(json.loads(json.dumps(statement)))
        for path in folder.glob(f"*{UNFINISHED}"):
            path.unlink()
        self.records = {record.key: record for record in self._read()}

    def __enter__(self) -> ShardFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        self._lock.close()

    def is_done(self, key: str) -> bool:
        """Whether a frame needs no work."""
        record = self.records.get(key)
        return record is not None and record.is_final

    def add(self, records: Iterable[FrameResult]) -> None:
        """Take results; write them soon, at most ``MOST_S`` after the shard before."""
        for record in records:
            self.records[record.key] = record
            self._buffer.append(record)
        late = self._clock() - self._written >= MOST_S
        if self._buffer and (late or len(self._buffer) >= MOST_RECORDS):
            self.flush()

    def flush(self) -> None:
        """Write what waits as one shard."""
        self._written = self._clock()
        if not self._buffer:
            return
        name = f"{PREFIX}{self._next:06d}{SUFFIX}"
        write_whole(self.folder / name, "".join(f"{record.line()}\n" for record in self._buffer))
        self._next += 1
        self._buffer = []

    def _locked(self) -> TextIO:
        lock = (self.folder / LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise NotReady(f"another run writes to {self.folder}; wait for its end") from error
        return lock

    def _check(self, statement: dict[str, Any]) -> None:
        path = self.folder / STATEMENT
        if not path.is_file():
            write_whole(path, json.dumps(statement, indent=1) + "\n")
            return
        try:
            before = json.loads(path.read_text())
        except ValueError as error:
            raise InvalidDataset(f"{path} is damaged: {error}; delete the folder") from error
        if before != statement:
            other = sorted(k for k in {*before, *statement} if before.get(k) != statement.get(k))
            raise InvalidConfig(
                f"{self.folder} holds results of another run: {', '.join(other)} differ; name "
                "another folder, or delete this one"
            )

    def _read(self) -> list[FrameResult]:
        records = []
        paths = sorted(self.folder.glob(f"{PREFIX}*{SUFFIX}"))
        for path in paths:
            try:
                records += [read_line(line) for line in path.read_text().splitlines()]
            except (OSError, UnicodeDecodeError, InvalidDataset) as error:
                raise InvalidDataset(f"{path} is damaged: {error}; delete it") from error
        last = paths[-1].name.removeprefix(PREFIX).removesuffix(SUFFIX) if paths else "0"
        self._next = int(last) + 1 if last.isdecimal() else len(paths) + 1
        return records


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that is complete or absent, also after a loss of power."""
    data = content.encode() if isinstance(content, str) else content
    unfinished = path.with_name(path.name + UNFINISHED)
    with unfinished.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
