"""Streams of a server: add, test, edit, remove, list; kept in a file."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sam6d_ros.errors import InvalidInput, NotAllowed, NotReady, Overloaded, TooLarge, UnknownName
from sam6d_ros.runtime.streams.address import Kind
from sam6d_ros.runtime.streams.analysis import Analysis
from sam6d_ros.runtime.streams.live import Live
from sam6d_ros.runtime.streams.opening import open_source
from sam6d_ros.runtime.streams.picture import Image
from sam6d_ros.runtime.streams.policy import SourcePolicy
from sam6d_ros.runtime.streams.spec import StreamSpec
from sam6d_ros.runtime.streams.storage import StreamFile
from sam6d_ros.runtime.streams.stream import Stream, StreamState

log = logging.getLogger(__name__)

MAX_STREAMS, MAX_TESTS = 16, 4
TEST_S = 3.0
LOOK_S = 0.05
CLOSE_S = 5.0  # FFmpeg returns from a silent source after twice its read timeout


@dataclass(frozen=True)
class Entry:
    """One stream of the set.

    Attributes:
        key: id.
        spec: description, with credentials.
        stream: that reads the source.
        live: output for viewers.
    """

    key: str
    spec: StreamSpec
    stream: Stream
    live: Live

    def close(self, timeout_s: float) -> bool:
        """End the threads.

        Args:
            timeout_s: longest wait, seconds.

        Returns:
            Whether they ended in time.
        """
        ended = self.live.close(timeout_s)
        return self.stream.close(timeout_s) and ended


@dataclass(frozen=True, eq=False)
class Trial:
    """Result of a test: a picture (H, W, 3) uint8 RGB, or the reason why there is none."""

    image_rgb: Image | None
    reason: str


class StreamSet:
    """Streams by id; every method may be called from any thread.

    Args:
        policy: rules on sources.
        path: of the file that keeps the streams; None keeps them until the end only.
        analysis_of: returns the analysis that a description requests, or None for none.
        max_streams: most streams.
    """

    def __init__(
        self,
        policy: SourcePolicy,
        path: Path | None = None,
        analysis_of: Callable[[StreamSpec], Analysis | None] = lambda _: None,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        self._policy, self._analysis_of = policy, analysis_of
        self._file = None if path is None else StreamFile(path)
        self._max_streams = max_streams
        self._lock = threading.Lock()
        self._tests = threading.BoundedSemaphore(MAX_TESTS)
        self._closed = False
        self._entries: dict[str, Entry] = {}
        self._ending: list[Entry] = []

    def restore(self) -> None:
        """Open the streams of the file."""
        with self._lock:
            for key, spec in (self._file.read() if self._file else {}).items():
                self._entries[key] = self._opened(key, spec)

    def entries(self) -> list[Entry]:
        """Return all streams, oldest first."""
        with self._lock:
            return [*self._entries.values()]

    def get(self, key: str) -> Entry:
        """Return one stream.

        Args:
            key: id of the stream.

        Raises:
            UnknownName: there is none of this id.
        """
        with self._lock:
            if key not in self._entries:
                raise self._unknown(key)
            return self._entries[key]

    def described(self, values: Mapping[str, Any], key: str | None = None) -> StreamSpec:
        """Return the description with these fields.

        Args:
            values: by name of the field.
            key: stream that is edited; its address without credentials stands for the whole one.

        Raises:
            InvalidInput: a field is unusable.
            UnknownName: there is no stream of this id.
        """
        return StreamSpec.from_values(values, None if key is None else self.get(key).spec)

    def add(self, spec: StreamSpec) -> Entry:
        """Add a stream and store it; its source may be absent at the moment.

        Args:
            spec: name, address and settings.

        Returns:
            The stored stream.

        Raises:
            NotAllowed, InvalidInput: the rules forbid the source.
            TooLarge: there are too many streams.
        """
        self.check(spec)
        with self._lock:
            if len(self._entries) >= self._max_streams:
                raise TooLarge(
                    f"there are {len(self._entries)} streams, which is the most; remove one first"
                )
            key = secrets.token_hex(4)
            self._replace(key, spec)
            return self._entries[key]

    def edit(self, key: str, spec: StreamSpec) -> Entry:
        """Replace a stream; its viewers end.

        Args:
            key: id of the stream.
            spec: name, address and settings.

        Returns:
            The stored stream.

        Raises:
            UnknownName: there is none of this id.
            NotAllowed, InvalidInput: the rules forbid the source.
        """
        self.check(spec)
        with self._lock:
            if key not in self._entries:
                raise self._unknown(key)
            old = self._entries[key]
            self._replace(key, spec)
            old.close(0.0)
            return self._entries[key]

    def remove(self, key: str) -> Entry:
        """Remove a stream.

        Args:
            key: id of the stream.

        Returns:
            The removed stream.

        Raises:
            UnknownName: there is none of this id.
        """
        with self._lock:
            if key not in self._entries:  # also when the server ends: the file keeps its streams
                raise self._unknown(key)
            self._store({k: e.spec for k, e in self._entries.items() if k != key})
            old = self._entries.pop(key)
        old.close(0.0)
        return old

    def test(self, spec: StreamSpec, timeout_s: float = TEST_S) -> Trial:
        """Open a source and wait for a picture.

        Args:
            spec: that is tested and not added.
            timeout_s: most seconds.

        Returns:
            A picture, or the reason why there is none.

        Raises:
            NotAllowed, InvalidInput: the rules forbid the source (a host name is looked up
                within the time; the result has the reason then).
            Overloaded: too many tests run.
        """
        if not self._tests.acquire(blocking=False):
            raise Overloaded(f"{MAX_TESTS} tests of streams run; try again", timeout_s)
        try:
            self._policy.check(spec.address)
            reading = replace(spec.reading, open_s=0.8 * timeout_s)  # its reason is more precise
            stream = Stream("test", open_source(spec.address, self._policy, reading))
            try:
                return _tried(stream, timeout_s)
            finally:
                stream.close(0.0)
        finally:
            self._tests.release()

    def check(self, spec: StreamSpec) -> None:
        """Apply the rules to a source; a host whose name is unknown now is taken.

        Args:
            spec: name, address and settings.

        Raises:
            NotAllowed: the rules forbid it.
            InvalidInput: likewise.
        """
        address = spec.address
        self._policy.check(address)
        if address.kind is Kind.NETWORK:
            try:
                self._policy.resolve(address)
            except NotAllowed:
                raise
            except InvalidInput as error:
                log.info("stream %s: %s", spec.name, error)

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """End all streams; they stay in the file. A second call waits for the first one's.

        Args:
            timeout_s: longest wait, seconds.
        """
        with self._lock:
            self._closed = True
            self._ending += self._entries.values()
            self._entries = {}
            entries = [*self._ending]
        for entry in entries:
            entry.close(0.0)  # all at once, then wait
        end = time.monotonic() + timeout_s
        for entry in entries:
            if not entry.close(max(end - time.monotonic(), 0.0)) and timeout_s:
                log.warning("stream %s did not end within %.0f s", entry.spec.name, timeout_s)

    def _unknown(self, key: str) -> UnknownName:
        return UnknownName(f"no stream has the id {key!r:.40}; GET /streams lists them")

    # --- with the lock held

    def _replace(self, key: str, spec: StreamSpec) -> None:
        if self._closed:
            raise NotReady("the server is draining; no stream is taken")
        self._store({k: e.spec for k, e in self._entries.items()} | {key: spec})
        self._entries[key] = self._opened(key, spec)

    def _store(self, specs: dict[str, StreamSpec]) -> None:
        if self._file is not None:
            self._file.write(specs)

    def _opened(self, key: str, spec: StreamSpec) -> Entry:
        source = open_source(spec.address, self._policy, spec.reading)
        stream = Stream(f"{key} ({spec.name})", source, spec.settings)
        return Entry(key, spec, stream, Live(stream, self._analysis_of(spec)))


def _tried(stream: Stream, timeout_s: float) -> Trial:
    """Wait for a picture, a failure or the end of the time."""
    end = time.monotonic() + timeout_s
    with stream.subscribe() as viewer:
        while time.monotonic() < end:
            status = stream.status  # before the look for a picture: a short file ends after it
            if (picture := viewer.next(LOOK_S)) is not None:
                return Trial(picture.image_rgb, "")
            if status.state in (StreamState.FAILED, StreamState.ENDED):
                return Trial(None, status.reason)
    return Trial(None, f"no picture within {timeout_s:.0f} s; check host, port and firewall")
