"""Condition variable of coroutine callbacks: deadlines, notification, no thread per wait."""

import threading
import time

import pytest
from rclpy.callback_groups import ReentrantCallbackGroup

from sam6d_ros.apps.ros.node.on_demand import Waiting


@pytest.fixture
def waiting(ros):
    node = ros.node("waiting")
    return Waiting(node, ReentrantCallbackGroup())


def test_many_waits_end_at_their_deadlines_without_a_thread_of_their_own(ros, waiting):
    start = time.monotonic()
    ended = {}

    async def wait(seconds):
        await waiting.until(lambda: False, start + seconds)
        ended[seconds] = time.monotonic() - start

    before = threading.active_count()
    for number in range(50):
        ros.executor.create_task(wait, 0.2 + 0.01 * (number % 10))
    ros.wait_for(lambda: len(ended) == 10, "all deadlines")
    assert threading.active_count() == before
    assert all(late >= seconds for seconds, late in ended.items())
    assert list(ended) == sorted(ended)


def test_a_notification_ends_a_wait_whose_condition_holds_and_no_other(ros, waiting):
    told, values = set(), []

    async def wait(name):
        values.append(await waiting.until(lambda: name in told and name))

    for name in ("one", "other"):
        ros.executor.create_task(wait, name)
    ros.executor.spin_once(timeout_sec=0)
    told.add("other")
    threading.Thread(target=waiting.notify).start()
    ros.wait_for(lambda: values, "the notified coroutine")
    assert values == ["other"]
    told.add("one")
    waiting.notify()
    ros.wait_for(lambda: len(values) == 2, "the other coroutine")


def test_what_nobody_notifies_of_is_looked_at_again(ros, waiting):
    looks, ended = [], []

    async def wait():
        ended.append(await waiting.until(lambda: looks.append(0) or len(looks) > 3, every_s=0.01))

    ros.executor.create_task(wait)
    ros.wait_for(lambda: ended, "the fourth look")
    assert len(looks) == 4
