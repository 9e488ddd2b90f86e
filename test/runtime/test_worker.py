"""The worker thread: a mailbox for the newest item, a queue of jobs, and how it gives up."""

import threading

import pytest

from sam6d_ros.errors import NotReady
from sam6d_ros.runtime.worker import Worker

PATIENCE_S = 10.0


@pytest.fixture
def work_with():
    """Makes workers that end with the test."""
    made = []

    def make(process):
        made.append(Worker("test", process))
        return made[-1]

    yield make
    for worker in made:
        worker.stop()
        worker.join(PATIENCE_S)


def test_the_worker_takes_the_newest_item_and_counts_what_it_drops(work_with):
    entered, go_on, done = threading.Event(), threading.Event(), threading.Event()
    taken = []

    def process(item):
        taken.append(item)
        entered.set()
        go_on.wait(PATIENCE_S)
        if item == 4:
            done.set()

    worker = work_with(process)
    worker.open()
    worker.offer(1)
    assert entered.wait(PATIENCE_S)
    for item in (2, 3, 4):
        worker.offer(item)
    go_on.set()
    assert done.wait(PATIENCE_S)
    assert (taken, worker.dropped) == ([1, 4], 2)


def test_a_closed_mailbox_forgets_items_while_jobs_are_done(work_with):
    taken = []
    worker = work_with(taken.append)
    worker.offer("too early")
    assert worker.call(lambda: 6 * 7).result(PATIENCE_S) == 42
    go_on = threading.Event()
    job = worker.call(lambda: go_on.wait(PATIENCE_S))
    worker.open()
    worker.offer("waits, and is forgotten")
    worker.close()
    worker.offer("too late")
    go_on.set()
    assert job.result(PATIENCE_S)
    worker.call(list).result(PATIENCE_S)
    assert taken == []
    assert (worker.dropped, worker.refused) == (0, 1)


def test_jobs_come_before_the_next_item_in_their_order_and_in_one_thread(work_with):
    done, threads, go_on = [], set(), threading.Event()

    def note(what):
        done.append(what)
        threads.add(threading.get_ident())

    worker = work_with(note)
    worker.open()
    worker.call(lambda: go_on.wait(PATIENCE_S))
    worker.offer("item")
    jobs = [worker.call(lambda n=n: note(n)) for n in range(3)]
    go_on.set()
    for job in jobs:
        job.result(PATIENCE_S)
    worker.call(list).result(PATIENCE_S)
    while "item" not in done:
        assert worker.call(list).result(PATIENCE_S) == []
    assert done == [0, 1, 2, "item"]
    assert len(threads) == 1


def test_the_error_of_a_job_reaches_its_caller_and_the_worker_goes_on(work_with):
    worker = work_with(print)
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 / 0).result(PATIENCE_S)
    assert worker.call(lambda: "fine").result(PATIENCE_S) == "fine"


@pytest.mark.parametrize("way", ["interrupt", "stop"])
def test_given_up_jobs_fail_at_once_even_the_one_in_work(work_with, way):
    stuck, entered = threading.Event(), threading.Event()
    worker = work_with(print)
    jobs = [worker.call(lambda: (entered.set(), stuck.wait(PATIENCE_S))), worker.call(list)]
    assert entered.wait(PATIENCE_S)
    if way == "stop":
        worker.stop()
        assert worker.stopping
        jobs.append(worker.call(list))
    else:
        worker.interrupt("it was deactivated")
    for job in jobs:
        with pytest.raises(NotReady, match=r"deactivated|ended"):
            job.result(PATIENCE_S)
    stuck.set()
    if way == "interrupt":
        assert worker.call(list).result(PATIENCE_S) == []


def test_a_job_that_breaks_the_rules_of_errors_does_not_end_the_thread(work_with):
    worker = work_with(print)

    def leave():
        raise SystemExit

    with pytest.raises(SystemExit):
        worker.call(leave).result(PATIENCE_S)
    assert worker.call(lambda: "alive").result(PATIENCE_S) == "alive"


def test_a_withdrawn_job_is_not_done(work_with):
    done, gate = [], threading.Event()
    worker = work_with(print)
    running = worker.call(lambda: gate.wait(PATIENCE_S))
    job = worker.call(lambda: done.append("withdrawn"))
    assert worker.withdraw(job)
    assert not worker.withdraw(job)
    gate.set()
    assert running.result(PATIENCE_S)
    worker.call(list).result(PATIENCE_S)
    assert not worker.withdraw(running)
    assert done == []
