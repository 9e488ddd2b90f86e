"""Watch on arrival and pairing of camera topics; a fault is reported with its remedy."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

RECENT = 30  # stamps kept per topic, one second of a usual camera
LOSS_WINDOW_S = 10.0
# Fewer camera_info messages than that give no reliable share.
LEAST_MESSAGES = 10
LOST_SHARE = 0.5
# Longest gap between the stamps of a slow camera, in its shortest; losses leave gaps of any length.
REGULAR_GAPS = 1.5
# Headroom on the advised slop, so that jitter does not break the pairing again.
SLOP_HEADROOM = 1.1


class PairingWatch:
    """Counts messages and pairs of several topics. Holds no ROS type.

    Args:
        names: of the inputs; the first one is the reference.
        timeout_s: how long messages may arrive without a pair before that is a problem.
        clock: seconds that never jump (the simulation's clock may stand still).
        once: inputs of which one message is enough; they are not paired.
    """

    def __init__(
        self,
        names: Sequence[str],
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        once: Collection[str] = (),
    ) -> None:
        self._once = once
        self.counts = dict.fromkeys(names, 0)
        self._timeout_s, self._clock = timeout_s, clock
        self._stamps: Mapping[str, deque[int]] = {n: deque(maxlen=RECENT) for n in names}
        # As many as a camera of 60 Hz sends in the window.
        self._arrivals: Mapping[str, deque[float]] = {n: deque(maxlen=600) for n in names}
        self._last_seen: dict[str, float] = {}
        self._paired = [name for name in names if name not in once]
        self._last_pair = self._last_jam = self._started = self._awake = self._clock()

    def saw(self, name: str, stamp_ns: int) -> None:
        """Record a message.

        Args:
            name: of the input.
            stamp_ns: of the message, nanoseconds.
        """
        now = self._clock()
        if not any(self.counts.values()):
            self._started = now  # the camera has begun; before, no input could be late
        if name not in self._once and now - self._last_seen.get(name, -math.inf) > self._timeout_s:
            self._awake = now
        self.counts[name] += 1
        self._stamps[name].append(stamp_ns)
        self._arrivals[name].append(now)
        self._last_seen[name] = now

    def paired(self) -> None:
        """Note a pair."""
        self._last_pair = self._clock()

    def silent(self) -> list[str]:
        """Return the inputs without a message for ``timeout_s``, at least since the first message
        of any.
        """
        now = self._clock()
        seen = {n: self._last_seen.get(n, self._started) for n in self.counts}
        late = [name for name, at in seen.items() if now - at > self._timeout_s]
        return [name for name in late if not (name in self._once and self.counts[name])]

    def lost(self, reference: str) -> str:
        """Return the input that loses most of its messages in the transport; else nothing.

        The small messages of the reference arrive, and of another input fewer than
        ``LOST_SHARE`` as many, with gaps of any length: a slower topic has equal gaps.

        Args:
            reference: name of the input with small messages.
        """
        recent = {name: self._recent(name) for name in self.counts}
        worst = min(recent, key=lambda name: recent[name])
        lossy = (
            recent[reference] >= LEAST_MESSAGES
            and recent[worst] < LOST_SHARE * recent[reference]
            and not self._is_regular(worst)
        )
        return worst if lossy else ""

    def recent_counts(self) -> dict[str, int]:
        """Return the number of messages of each input in the last ``LOSS_WINDOW_S``."""
        return {name: self._recent(name) for name in self.counts}

    def never_pairs(self, slop_s: float) -> str:
        """Return the reason why messages of all topics never pair; empty if they do.

        Args:
            slop_s: largest difference of paired stamps, seconds.
        """
        unpaired_since = max(self._last_pair, self._awake)
        if self._clock() - unpaired_since <= self._timeout_s or self.silent():
            return ""
        return self.mismatch(slop_s)

    def mismatch(self, slop_s: float) -> str:
        """Return the reason why the messages so far do not pair, by their closest stamps.

        Args:
            slop_s: largest difference of paired stamps, seconds.
        """
        reference, *others = self._paired
        offsets = {name: self._closest_s(reference, name) for name in others}
        worst = max(offsets, key=lambda name: abs(offsets[name]))
        gap = abs(offsets[worst])
        if gap <= slop_s:
            return (
                f"{reference} and {worst} have matching stamps but do not pair; messages are lost "
                "or come too late: raise queue_size, or set the inputs' reliability to reliable"
            )
        return (
            f"{reference} and {worst} arrive but never pair: their closest stamps are "
            f"{gap:.3f} s apart ({worst} is {'later' if offsets[worst] > 0 else 'earlier'}) and "
            f"slop_s is {slop_s:.3f}. Set sync to approximate and slop_s to at least "
            f"{gap * SLOP_HEADROOM:.3f}, or synchronise the drivers' clocks"
        )

    def jam(self, slop_s: float) -> str:
        """Return the reason to empty the queues of the synchronizer; "" if there is none.

        They should if stamps match, and nothing has paired for ``timeout_s``: messages of a later
        time keep the new ones out. Then this waits for ``timeout_s`` again.

        Args:
            slop_s: largest difference of paired stamps, seconds.
        """
        now = self._clock()
        since = max(self._last_pair, self._last_jam, self._awake)
        if now - since <= self._timeout_s or self.silent():
            return ""
        reference, *others = self._paired
        if any(abs(self._closest_s(reference, name)) > slop_s for name in others):
            return ""
        self._last_jam = now
        return (
            f"no pair for {now - self._last_pair:.1f} s although stamps match: dropped the "
            "waiting messages, whose stamps are later than those that arrive now (a recording "
            "began again, or a driver sent stamps in the future)"
        )

    def _recent(self, name: str) -> int:
        """Count the messages of an input in the last ``LOSS_WINDOW_S``."""
        oldest = self._clock() - LOSS_WINDOW_S
        return sum(at >= oldest for at in self._arrivals[name])

    def _is_regular(self, name: str) -> bool:
        """Whether the stamps of an input have equal gaps, as far as is known."""
        stamps = tuple(self._stamps[name])
        gaps = [after - before for before, after in itertools.pairwise(stamps)]
        return len(gaps) > 1 and 0 < max(gaps) <= REGULAR_GAPS * min(gaps)

    def _closest_s(self, reference: str, other: str) -> float:
        """Signed smallest difference of two inputs' stamps, in seconds."""
        here, there = tuple(self._stamps[reference]), tuple(self._stamps[other])
        return min((b - a for a in here for b in there), key=abs, default=0) * 1e-9
