"""Laws of the registry under random calls from several threads."""

from __future__ import annotations

import random
import threading
import time

import pytest
from support.model_double import (
    DEFECT,
    GONE,
    PATIENCE_S,
    POISON,
    REFUSED,
    Openers,
    image,
    score_of,
    spec_of,
)

from sam6d_ros.errors import CheckpointError, Sam6dError
from sam6d_ros.runtime.model_server.registry import Registry
from sam6d_ros.runtime.model_server.slot import RegistryOptions

NAMES, SOURCES = ("a", "b", "c"), ("double:1", "double:2", "double:bad")
BAD = (REFUSED, POISON, DEFECT, GONE)
GOOD = range(1, 30)
THREADS, STEPS = 4, 150


class Client:
    """Random calls; keeps what came of each."""

    def __init__(self, registry: Registry, seed: int) -> None:
        self.registry, self.random = registry, random.Random(seed)
        self.asked: list[tuple[int, object]] = []
        self.loads: list[object] = []
        self.unexpected: list[BaseException] = []

    def run(self) -> None:
        calls = (*[self._ask] * 12, *[self._load] * 3, self._unload, self._look)
        for _ in range(STEPS):
            try:
                self.random.choice(calls)()
            except Sam6dError:
                pass  # unknown, taken, loading: all may happen here
            except BaseException as error:
                self.unexpected.append(error)

    def _ask(self) -> None:
        value = self.random.choice((*GOOD, *BAD))
        future = self.registry.submit(self.random.choice(NAMES), image(value))
        self.asked.append((value, future))
        if self.random.random() < 0.1:
            future.cancel()

    def _load(self) -> None:
        spec = spec_of(self.random.choice(NAMES), self.random.choice(SOURCES), capacity=4)
        load = self.random.choice((self.registry.register, self.registry.replace))
        self.loads.append(load(spec))

    def _unload(self) -> None:
        self.registry.unload(self.random.choice(NAMES))

    def _look(self) -> None:
        for report in self.registry.list():
            assert report.figures.images >= 0
            self.registry.stats(report.spec.name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_every_call_has_an_end_and_every_model_is_freed(seed):
    others = set(threading.enumerate())  # servers of other tests have models too
    openers = Openers()
    openers.errors["double:bad"] = CheckpointError("damaged")
    registry = Registry({"double": openers}, options=RegistryOptions(drain_s=5.0, max_models=2))
    for name in NAMES[:2]:
        registry.register(spec_of(name, SOURCES[0])).result(PATIENCE_S)
    first = registry.submit("a", image(7))
    clients = [Client(registry, 100 * seed + number) for number in range(THREADS)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * PATIENCE_S)
        assert not thread.is_alive()
    asked = [(7, first), *(one for client in clients for one in client.asked)]
    for load in (one for client in clients for one in client.loads):
        load.exception(PATIENCE_S)
    assert registry.close()
    assert [error for client in clients for error in client.unexpected] == []
    answers = 0
    for value, future in asked:
        if future.cancelled():
            continue
        error = future.exception(PATIENCE_S)
        if error is None:
            answers += 1
            assert value not in BAD
            assert score_of(future.result()) == value  # its own answer, whatever its batch
        else:
            assert isinstance(error, (Sam6dError, ZeroDivisionError))
    assert answers
    models = [model for made in openers.opened.values() for model in made]
    # replaced ones are freed in threads
    until(lambda: all(model.closed for model in models), "the end of every model")
    assert {model.closed for model in models} == {1}
    assert all(len(model.threads) <= 1 for model in models)
    until(lambda: not own_threads(others), "the end of the threads")


def own_threads(others):
    """Names of the threads of models and loads that began after the others."""
    new = set(threading.enumerate()) - others
    return [thread.name for thread in new if thread.name.startswith(("model '", "load "))]


def until(condition, what):
    """Wait until a condition holds; fail with what was waited for."""
    end, pause = time.monotonic() + 4 * PATIENCE_S, threading.Event()
    while not condition():
        assert time.monotonic() < end, f"no {what} in time"
        pause.wait(0.01)
