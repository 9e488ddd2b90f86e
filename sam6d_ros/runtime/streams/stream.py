"""One video stream: a reader thread that keeps the newest picture, and reconnects."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from enum import Enum

from sam6d_ros.errors import InvalidConfig, Sam6dError
from sam6d_ros.runtime.streams.failures import Failure
from sam6d_ros.runtime.streams.newest import Newest, Viewer
from sam6d_ros.runtime.streams.picture import Picture
from sam6d_ros.runtime.streams.source import Source

log = logging.getLogger(__name__)

FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 15.0  # doubled after each attempt without a picture
RATE_PICTURES = 100  # the rate is that of the last pictures
RATE_WINDOW_S = 5.0


class StreamState(Enum):
    """State of a stream; the value is the text that a shell shows."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    FAILED = "failed"
    ENDED = "ended"  # a file that is not played again
    CLOSED = "closed"


@dataclass(frozen=True)
class StreamStatus:
    """State and figures of a stream.

    Attributes:
        state: present state.
        reason: why the last attempt failed, with the remedy; empty while it is live.
        rate_hz: pictures decoded per second, over the last seconds.
        age_s: of the newest picture, or None without one.
        size: width and height, or None without a picture.
        pictures: number decoded since the start.
        attempts: number of times the source was opened.
        viewers: number now.
        retry_s: seconds until the next attempt, or None.
    """

    state: StreamState
    reason: str
    rate_hz: float
    age_s: float | None
    size: tuple[int, int] | None
    pictures: int
    attempts: int
    viewers: int
    retry_s: float | None


@dataclass(frozen=True)
class StreamSettings:
    """Settings of one stream.

    Attributes:
        max_rate_hz: most pictures per second that viewers get; None for all.
        stall_s: age of the newest picture from which a stream is stalled.
    """

    max_rate_hz: float | None = None
    stall_s: float = 2.0

    def __post_init__(self) -> None:
        for name, value in (("max_rate_hz", self.max_rate_hz), ("stall_s", self.stall_s)):
            if value is not None and not 0.01 <= value <= 1000:
                raise InvalidConfig(f"{name} is {value}; expected 0.01 to 1000")


class Stream:
    """Reader of one source, for any number of viewers; decodes each picture once.

    Args:
        name: for the log and the thread.
        source: that is read, and opened again with a growing pause when it is lost.
        settings: of the stream.
    """

    def __init__(self, name: str, source: Source, settings: StreamSettings | None = None) -> None:
        self.name = name
        self._source, self._settings = source, settings or StreamSettings()
        self._newest: Newest[Picture] = Newest()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._state, self._reason = StreamState.CONNECTING, ""
        self._times: deque[float] = deque(maxlen=RATE_PICTURES)
        self._size: tuple[int, int] | None = None
        self._pictures = self._attempts = 0
        self._retry_at = 0.0
        self._due = 0.0
        self._thread = threading.Thread(target=self._run, name=f"stream {name}", daemon=True)
        self._thread.start()

    def subscribe(self) -> Viewer[Picture]:
        """Return a viewer of the newest pictures."""
        return self._newest.subscribe()

    @property
    def status(self) -> StreamStatus:
        """State and figures of this moment."""
        now = time.monotonic()
        with self._lock:
            state, times = self._state, tuple(self._times)
            age_s = now - times[-1] if times else None
            if state is StreamState.LIVE and (age_s or 0.0) > self._settings.stall_s:
                state = StreamState.STALLED
            reason = self._reason
            if state is StreamState.STALLED:
                reason = f"no picture for {age_s:.1f} s; check the camera and its network"
            retry_s = max(self._retry_at - now, 0.0) if state is StreamState.FAILED else None
            return StreamStatus(
                state=state,
                reason=reason,
                rate_hz=_rate(times, now),
                age_s=age_s,
                size=self._size,
                pictures=self._pictures,
                attempts=self._attempts,
                viewers=self._newest.viewers,
                retry_s=retry_s,
            )

    def close(self, timeout_s: float = 5.0) -> bool:
        """End the thread and the waits of all viewers.

        FFmpeg returns from a silent source after twice its read timeout at the latest.

        Args:
            timeout_s: longest wait, seconds.

        Returns:
            Whether the thread ended in time.
        """
        self._stop.set()
        self._newest.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- in the reader thread

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stop.is_set():
            failure, pictures = self._read()
            if self._stop.is_set():
                break
            if failure is None:
                self._enter(StreamState.ENDED, "the file has ended; set loop to play it again")
                break
            pause_s = FIRST_PAUSE_S if pictures else min(2 * pause_s, MAX_PAUSE_S)
            wait_s = max(pause_s, failure.min_pause_s)
            self._retry_at = time.monotonic() + wait_s
            self._newest.clear()  # a new viewer gets no old picture
            self._enter(StreamState.FAILED, failure.reason)
            self._stop.wait(wait_s)
        if self._stop.is_set():
            self._enter(StreamState.CLOSED, "")

    def _read(self) -> tuple[Failure | None, int]:
        """Read until the source ends; return why, and the number of pictures."""
        self._attempts += 1
        self._enter(StreamState.CONNECTING, self._reason)
        count, last = 0, time.monotonic()
        error: BaseException | None = None
        try:
            with closing(self._source.pictures(self._stop)) as pictures:
                for picture in pictures:
                    count, last = count + 1, picture.decoded_at
                    self._take(picture)
        except Exception as caught:  # of FFmpeg or our own checks: becomes the reason
            error = caught
        # outside of the handler: a log that fails prints the error in hand, with its address
        if error is not None and not isinstance(error, (Sam6dError, OSError, ValueError)):
            log.debug("stream %s: %s", self.name, type(error).__name__)
        if error is None and not self._source.is_live:
            return None, count
        return self._source.explain(error, count, time.monotonic() - last), count

    def _take(self, picture: Picture) -> None:
        """Count a picture; publish it unless it comes before its time."""
        now = picture.decoded_at
        with self._lock:
            self._pictures += 1
            self._times.append(now)
            self._size = picture.size
        if self._state is not StreamState.LIVE:
            self._enter(StreamState.LIVE, "")
        if self._is_due(now):
            self._newest.put(picture)

    def _is_due(self, now: float) -> bool:
        """Return whether the limit of the mean rate admits a picture."""
        if self._settings.max_rate_hz is None:
            return True
        if now < self._due:
            return False
        period_s = 1 / self._settings.max_rate_hz
        on_time = now - self._due < period_s
        self._due = (self._due if on_time else now) + period_s
        return True

    def _enter(self, state: StreamState, reason: str) -> None:
        with self._lock:
            changed = (state, reason) != (self._state, self._reason)
            self._state, self._reason = state, reason
        if changed:
            level = logging.WARNING if state is StreamState.FAILED else logging.INFO
            log.log(level, "stream %s: %s%s", self.name, state.value, f": {reason}" * bool(reason))


def _rate(times: tuple[float, ...], now: float) -> float:
    """Return pictures per second, from the times of the last ones."""
    recent = [at for at in times if now - at <= RATE_WINDOW_S]
    if len(recent) < 2:
        return 0.0
    return (len(recent) - 1) / max(recent[-1] - recent[0], now - recent[-1], 1e-3)
