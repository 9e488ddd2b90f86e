"""Limit of the memory of all models: what is refused, what is evicted, what comes back."""

from __future__ import annotations

import os
import threading

import pytest
from support.model_double import PATIENCE_S, Openers, image, spec_of

from sam6d_ros.errors import NotReady, ResourceExhausted
from sam6d_ros.runtime.model_server.host import ModelState
from sam6d_ros.runtime.model_server.memory import file_bytes
from sam6d_ros.runtime.model_server.registry import Registry
from sam6d_ros.runtime.model_server.slot import RegistryOptions

MEGA = 1 << 20
SIZE = 400 * MEGA  # far above what a test allocates by the way


@pytest.fixture
def files(tmp_path):
    """Files without content that have the size of models."""
    paths = {}
    for name in "abc":
        paths[name] = tmp_path / f"{name}.onnx"
        paths[name].touch()
        os.truncate(paths[name], SIZE)
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def make(files):
    made, openers = [], Openers()

    def registry(**options):
        known = dict.fromkeys(files.values(), openers)
        made.append(Registry(known, options=RegistryOptions(**options)))
        made[-1].openers = openers
        return made[-1]

    yield registry
    for one in made:
        one.close()


def load(registry, files, *names):
    for name in names:
        registry.register(spec_of(name, files[name])).result(PATIENCE_S)


def states(registry):
    return {report.spec.name: report.state for report in registry.list()}


def test_the_memory_of_a_model_is_at_least_its_file(make, files):
    registry = make()
    load(registry, files, "a")
    assert SIZE <= registry.get("a").memory_bytes < SIZE + 200 * MEGA


def test_a_model_beyond_the_limit_is_refused_with_the_numbers(make, files):
    registry = make(memory_bytes=2 * SIZE + SIZE // 2)
    load(registry, files, "a", "b")
    refused = registry.register(spec_of("c", files["c"])).exception(PATIENCE_S)
    assert isinstance(refused, ResourceExhausted)
    assert "needs 400 MiB and others hold 800 MiB of 1000 MiB" in str(refused)
    assert "allow eviction" in str(refused)
    assert states(registry)["c"] is ModelState.LOAD_FAILED
    registry.unload("a")
    load(registry, files, "c")
    assert states(registry) == {"b": ModelState.READY, "c": ModelState.READY}


def test_the_model_unused_for_longest_makes_room_and_comes_back_when_it_is_asked(make, files):
    registry = make(memory_bytes=2 * SIZE + SIZE // 2, evict=True)
    load(registry, files, "a", "b")
    registry.submit("a", image()).result(PATIENCE_S)
    load(registry, files, "c")
    assert states(registry) == {
        "a": ModelState.READY,
        "b": ModelState.EVICTED,
        "c": ModelState.READY,
    }
    assert registry.openers.last(files["b"]).closed == 1
    assert registry.get("b").memory_bytes == 0
    while True:
        try:
            registry.submit("b", image()).result(PATIENCE_S)
            break
        except NotReady as error:
            assert "being loaded again" in str(error)  # noqa: PT017
    assert states(registry) == {
        "a": ModelState.EVICTED,
        "b": ModelState.READY,
        "c": ModelState.READY,
    }


def test_a_model_larger_than_the_limit_evicts_none(make, files):
    registry = make(memory_bytes=SIZE + SIZE // 2, evict=True)
    load(registry, files, "a")
    os.truncate(files["b"], 2 * SIZE)
    refused = registry.register(spec_of("b", files["b"])).exception(PATIENCE_S)
    assert isinstance(refused, ResourceExhausted)
    assert states(registry)["a"] is ModelState.READY


def test_a_replaced_model_is_not_evicted_for_its_successor(make, files):
    registry = make(memory_bytes=SIZE + SIZE // 2, evict=True)
    load(registry, files, "a")
    refused = registry.replace(spec_of("a", files["b"])).exception(PATIENCE_S)
    assert isinstance(refused, ResourceExhausted)
    assert states(registry) == {"a": ModelState.READY}
    registry.submit("a", image()).result(PATIENCE_S)


def test_a_load_that_hangs_delays_the_next_one_and_no_more(make, files):
    registry = make(load_s=0.05, patience_s=0.05)
    registry.openers.gates[files["a"]] = gate = threading.Event()
    registry.openers.entered[files["a"]] = entered = threading.Event()
    hanging = registry.register(spec_of("a", files["a"]))
    assert entered.wait(PATIENCE_S)
    load(registry, files, "b")
    registry.submit("b", image()).result(PATIENCE_S)
    assert states(registry) == {"a": ModelState.LOADING, "b": ModelState.READY}
    gate.set()
    assert hanging.result(PATIENCE_S).state is ModelState.READY


def test_a_folder_counts_with_all_its_files_and_an_address_with_none(tmp_path):
    (tmp_path / "1").mkdir()
    for name in ("1/model.onnx", "detector.json"):
        (tmp_path / name).write_bytes(b"12345")
    assert file_bytes(spec_of(source=str(tmp_path))) == 10
    assert file_bytes(spec_of(source="http://host:8000/m")) == 0
