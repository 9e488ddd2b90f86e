"""Queues of the synchronizer that stamps of a later time have filled."""

import pytest
from support.ros.eyes import Eyes

S = 1_000_000_000


@pytest.mark.parametrize("sync", ["approximate", "exact"])
def test_pairs_come_again_after_lone_messages_of_the_future(ros, sync):
    """Colour alone arrives for a while, then time goes back: a bag that starts again."""
    options = ("-p", "pair_timeout_s:=0.3", "-p", "queue_size:=3", "-p", f"sync:={sync}")
    eyes = Eyes(ros, *options)
    eyes.open()
    ros.wait_for(lambda: eyes.send(500 * S).frames, "a first pair")
    for name, publisher in enumerate(eyes.publishers):
        # stamps that no other topic has, so that nothing pairs
        stamps = [(1000 + 100 * name + n) * S for n in range(10)]
        for stamp in stamps:
            eyes.send_one(publisher, stamp)
            ros.executor.spin_once(timeout_sec=0.1)
    eyes.frames.clear()
    calls = iter(range(10_000))

    def arrived():
        step, rest = divmod(next(calls), 9)  # one callback is done between two calls
        if not rest:
            eyes.send(10 * S + step * S // 10)
        return eyes.frames

    ros.wait_for(arrived, "pairs of the earlier time")
