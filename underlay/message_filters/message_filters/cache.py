"""Filter that keeps its last messages."""

from __future__ import annotations

from typing import Any

from rclpy.time import Time

from message_filters.simple_filter import SimpleFilter
from message_filters.stamps import stamp_of


class Cache(SimpleFilter):
    """Keeps the `cache_size` messages that arrived last and passes each one on."""

    def __init__(self, f: SimpleFilter, cache_size: int = 1, allow_headerless: bool = False):
        super().__init__()
        self.cache_size = cache_size
        self.allow_headerless = allow_headerless
        self.cache_msgs: list[Any] = []
        self.cache_times: list[Time] = []
        self.connectInput(f)

    def connectInput(self, f: SimpleFilter) -> None:
        """Take messages from `f`."""
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        """Store a message and pass it on; one without a stamp is dropped unless allowed."""
        stamp = stamp_of(msg, self.allow_headerless, "message_filters_cache")
        if stamp is None:
            return
        self.cache_msgs.append(msg)
        self.cache_times.append(stamp)
        del self.cache_msgs[: -self.cache_size], self.cache_times[: -self.cache_size]
        self.signalMessage(msg)

    def _stored(self) -> list[tuple[Any, Time]]:
        return list(zip(self.cache_msgs, self.cache_times, strict=True))

    def getInterval(self, from_stamp: Time, to_stamp: Time) -> list[Any]:
        """Messages from `from_stamp` to `to_stamp`, both included."""
        assert from_stamp <= to_stamp
        return [msg for msg, time in self._stored() if from_stamp <= time <= to_stamp]

    def getElemAfterTime(self, stamp: Time) -> Any | None:
        """First stored message that is not older than `stamp`."""
        return next((msg for msg, time in self._stored() if time >= stamp), None)

    def getElemBeforeTime(self, stamp: Time) -> Any | None:
        """Last stored message that is not newer than `stamp`."""
        return next((msg for msg, time in reversed(self._stored()) if time <= stamp), None)

    def getLastestTime(self) -> Time | None:
        """Stamp of the message stored last (the original's spelling)."""
        return self.cache_times[-1] if self.cache_times else None

    def getOldestTime(self) -> Time | None:
        """Stamp of the message stored first."""
        return self.cache_times[0] if self.cache_times else None

    def getLast(self) -> Any | None:
        """Newest message."""
        latest = self.getLastestTime()
        return None if latest is None else self.getElemAfterTime(latest)
