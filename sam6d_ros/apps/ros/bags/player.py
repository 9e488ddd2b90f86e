"""A bag played into the ROS graph: recorded bytes, recorded QoS, recorded pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rclpy.duration import Duration

from sam6d_ros.apps.ros.bags.endpoints import BagClock, ReadyTopics, make_publishers
from sam6d_ros.apps.ros.bags.qos import is_latched, is_reliable
from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.apps.ros.bags.schedule import Schedule
from sam6d_ros.apps.ros.node.session import SPIN_S, GraphSession
from sam6d_ros.errors import InvalidBag
from sam6d_ros.geometry.units import NS_PER_S

# Readers lag behind by little; a lost one must not hold the end up.
ACKNOWLEDGE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class PlayOptions:
    """Settings of a playback.

    Attributes:
        rate: bag seconds per second.
        loop: start again at the end; bag time then jumps back.
        clock_hz: how often bag time is published on /clock; 0: not at all.
        topics: play only these (names in the bag); empty: all.
        remap: other names to publish under, by the name in the bag.
        start_s: seconds of the bag to leave out at its beginning.
        duration_s: bag seconds to play; None: to the end.
        wait_for: latched std_msgs/Bool topics that must be true before the first message.
        wait_for_subscribers: published topics that must have a reader before it.
    """

    rate: float = 1.0
    loop: bool = False
    clock_hz: float = 0.0
    topics: Sequence[str] = ()
    remap: Mapping[str, str] = field(default_factory=dict)
    start_s: float = 0.0
    duration_s: float | None = None
    wait_for: Sequence[str] = ()
    wait_for_subscribers: Sequence[str] = ()


class Player:
    """Plays one bag on the node of a session.

    Args:
        stopped: whether to end early.

    Raises:
        InvalidBag: there is nothing to play: no such topic, no installed type, no message.
    """

    def __init__(
        self,
        bag: BagReader,
        session: GraphSession,
        options: PlayOptions,
        stopped: Callable[[], bool],
    ) -> None:
        self._bag, self._session, self._options = bag, session, options
        self._stopped = stopped
        self._start_ns = bag.start_ns + round(options.start_s * NS_PER_S)
        length = options.duration_s
        self._stop_ns = None if length is None else self._start_ns + round(length * NS_PER_S)
        self._check_window()
        self._publishers = make_publishers(
            session.node, bag, options.topics, options.remap, bool(options.clock_hz)
        )
        self._schedule = Schedule(self._start_ns, options.rate)
        self._clock = BagClock(session.node, options.clock_hz) if options.clock_hz else None
        self.sent = 0
        self.latest_s = 0.0  # by how much the latest message was late

    def _check_window(self) -> None:
        length_s = self._bag.duration_ns / NS_PER_S
        if not any(topic.count for topic in self._bag.topics):
            raise InvalidBag(f"{self._bag.path} holds no message")
        if self._options.start_s >= length_s:
            raise InvalidBag(
                f"{self._bag.path} is {length_s:.3f} s long; nothing is left from second "
                f"{self._options.start_s} on"
            )

    def play(self, report: Callable[[str], None]) -> None:
        """Wait for the subscribers, then publish; ``report`` receives the names of the awaited."""
        self._wait_for_subscribers(report)
        self._send_latched_before_start()
        while not self._stopped():
            before = self.sent
            self._play_once()
            if self.sent == before and not self._stopped():
                raise InvalidBag(f"{self._bag.path}: no message of these topics is in this part")
            if not self._options.loop:
                break
        self._wait_for_readers_to_catch_up()

    def _wait_for_subscribers(self, report: Callable[[str], None]) -> None:
        ready = ReadyTopics(self._session.node, self._options.wait_for)
        unread = set(self._options.wait_for_subscribers)
        before = ""
        while not self._stopped():
            unread -= {t for t in unread if self._session.node.count_subscribers(t)}
            waiting = [f"{t} to be true" for t in sorted(ready.missing)]
            waiting += [f"a reader of {t}" for t in sorted(unread)]
            if not waiting:
                return
            if (text := "waiting for " + ", ".join(waiting)) != before:
                report(text)
                before = text
            self._spin(SPIN_S)

    def _send_latched_before_start(self) -> None:
        """Publish the latched messages from before the start (/tf_static, …)."""
        if self._start_ns == self._bag.start_ns:
            return
        latched = [topic for topic, p in self._publishers.items() if is_latched(p.qos_profile)]
        for recorded in self._bag.messages(latched, None, self._start_ns):
            self._publishers[recorded.topic].publish(recorded.data)
            self.sent += 1

    def _play_once(self) -> None:
        self._schedule.start()
        for recorded in self._bag.messages(self._publishers, self._start_ns, self._stop_ns):
            self._spin_until(recorded.time_ns)
            if self._stopped():
                return
            self._publishers[recorded.topic].publish(recorded.data)
            self.sent += 1
            late_s = -self._schedule.seconds_until(recorded.time_ns)
            self.latest_s = max(self.latest_s, late_s)
        if self._stop_ns is not None:
            self._spin_until(self._stop_ns)

    def _spin_until(self, bag_ns: int) -> None:
        self._tick()
        while not self._stopped() and (left_s := self._schedule.seconds_until(bag_ns)) > 0:
            self._spin(min(left_s, SPIN_S))

    def _spin(self, timeout_s: float) -> None:
        if self._clock:
            timeout_s = min(timeout_s, self._clock.due_in_s())
        self._session.spin_once(max(timeout_s, 0.0))
        self._tick()

    def _tick(self) -> None:
        if self._clock:
            self._clock.tick(self._schedule.now_ns())

    def _wait_for_readers_to_catch_up(self) -> None:
        """The process ends next, and with it the queues of the publishers."""
        end_s = time.monotonic() + ACKNOWLEDGE_TIMEOUT_S
        for publisher in self._publishers.values():
            if is_reliable(publisher.qos_profile) and not self._stopped():
                left_s = max(0.0, end_s - time.monotonic())
                publisher.wait_for_all_acked(Duration(seconds=left_s))
