"""Laws of a host under 8 threads: one answer each, one work at a time, order of arrival."""

import random
import threading
from concurrent.futures import Future

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host_double import PATIENCE_S, Gate, ManualTime, Numbered, outcome, serving, settle

from sam6d_ros.errors import Cancelled, DeadlineExceeded, NotReady, Overloaded
from sam6d_ros.runtime.host import Host
from sam6d_ros.runtime.request import Request

THREADS = 8
EACH = 40
# Errors that a request may get although its work is correct.
ACCEPTED = (Cancelled, DeadlineExceeded, NotReady, Overloaded)


class Answers:
    """Counts how often each future is completed."""

    def __init__(self) -> None:
        self.counts: dict[Future, int] = {}
        self.values: dict[Future, object] = {}
        self._lock = threading.Lock()

    def watch(self, future: Future, value: object) -> None:
        with self._lock:
            self.counts.setdefault(future, 0)
            self.values[future] = value
        future.add_done_callback(self._count)

    def _count(self, future: Future) -> None:
        with self._lock:
            self.counts[future] += 1

    def check(self) -> None:
        """Each future has one answer: its own value, or an accepted error."""
        for future, value in self.values.items():
            result = outcome(future)
            assert result == value or isinstance(result, ACCEPTED), result
        assert {*self.counts.values()} == {1}


def from_eight_threads(run):
    """Call ``run`` with the number of each of eight threads that start together."""
    start, failures = threading.Barrier(THREADS), []

    def thread(number):
        try:
            start.wait(PATIENCE_S)
            run(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=thread, args=(n,)) for n in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(PATIENCE_S)
    assert failures == []


def calling(value, **more):
    return Request(lambda engine, ctx: engine.call(value), **more)


@pytest.fixture
def build() -> Numbered:
    return Numbered()


@pytest.fixture
def host(build):
    made = serving(Host(build, name="host", capacity=THREADS * EACH))
    yield made
    made.close(PATIENCE_S)


def test_the_requests_of_each_thread_are_done_in_its_order(host, build):
    answers = Answers()

    def run(number):
        for index in range(EACH):
            answers.watch(host.submit(calling((number, index))), (number, index))

    from_eight_threads(run)
    answers.check()
    (engine,) = build.built
    assert len(engine.calls) == THREADS * EACH
    assert engine.overlaps == 0
    for number in range(THREADS):
        assert [index for who, index in engine.calls if who == number] == [*range(EACH)]


def test_a_request_given_up_by_any_thread_gets_one_answer(host, build):
    answers = Answers()

    def run(number):
        choose = random.Random(number)
        for index in range(EACH):
            request = calling((number, index))
            future = host.submit(request)
            answers.watch(future, (number, index))
            if choose.random() < 0.5:
                request.cancel()

    from_eight_threads(run)
    answers.check()
    settle(host)
    assert build.built[0].overlaps == 0
    assert host.counts.waiting == 0


def test_overload_from_eight_threads_loses_no_request(build):
    host, answers = serving(Host(build, name="host", capacity=3)), Answers()
    from_eight_threads(
        lambda number: [
            answers.watch(host.submit(calling((number, i))), (number, i)) for i in range(EACH)
        ]
    )
    answers.check()
    refused = sum(isinstance(outcome(future), Overloaded) for future in answers.values)
    settle(host)
    assert (host.counts.rejected, host.counts.waiting) == (refused, 0)
    assert len(build.built[0].calls) + refused == THREADS * EACH
    host.close(PATIENCE_S)


def test_a_host_reloaded_under_load_answers_every_request(host, build):
    answers, loads = Answers(), []

    def run(number):
        for index in range(EACH):
            if number == 0 and index % 10 == 0:
                loads.append(host.reload())
            answers.watch(host.submit(calling((number, index))), (number, index))

    from_eight_threads(run)
    assert [outcome(load) for load in loads] == [None] * len(loads)
    answers.check()
    assert host.submit(calling("after")).result(PATIENCE_S) == "after"
    assert sum(engine.overlaps for engine in build.built) == 0
    assert host.counts.waiting == 0


@pytest.mark.parametrize("end", ["close", "drain", "unload", "deactivate"])
def test_a_host_that_ends_under_load_answers_every_request(host, build, end):
    answers, begun = Answers(), threading.Event()

    def run(number):
        for index in range(EACH):
            if number == 0 and index == EACH // 2:
                arguments = (PATIENCE_S,) if end in ("close", "drain") else ()
                getattr(host, end)(*arguments)
                begun.set()
            answers.watch(host.submit(calling((number, index))), (number, index))

    from_eight_threads(run)
    assert begun.is_set()
    answers.check()
    assert isinstance(outcome(host.submit(calling("after"))), NotReady)
    assert build.built[0].overlaps == 0
    assert host.counts.waiting == 0


ACTIONS = st.lists(
    st.one_of(
        st.just(("submit", 0)),
        st.tuples(st.just("deadline"), st.integers(1, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 8)),
        st.tuples(st.just("advance"), st.integers(1, 3)),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=25)
@given(ACTIONS)
def test_those_in_the_queue_that_nobody_gave_up_are_done_in_order(actions):
    time, build, gate = ManualTime(), Numbered(), Gate()
    host = serving(Host(build, name="host", capacity=4, deadlines=time, clock=time.clock))
    host.submit(Request(gate))
    gate.wait_entered()
    requests, futures = [], []
    for action, value in actions:
        if action in ("submit", "deadline"):
            deadline = time.now + value if value else float("inf")
            number = len(requests)
            requests.append(calling(number, deadline=deadline, clock=time.clock))
            futures.append(host.submit(requests[-1]))
        elif action == "cancel" and value < len(requests):
            requests[value].cancel()
        elif action == "advance":
            time.advance(value)
        assert host.counts.waiting == sum(not future.done() for future in futures)
    expected = [number for number, future in enumerate(futures) if not future.done()]
    gate.open()
    assert [futures[number].result(PATIENCE_S) for number in expected] == expected
    assert build.built[0].calls == expected
    assert all(isinstance(outcome(f), ACCEPTED) for n, f in enumerate(futures) if n not in expected)
    host.close(PATIENCE_S)
