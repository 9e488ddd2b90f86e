"""Many models at run time: names, replacement without a gap, failures that stay with one model."""

from __future__ import annotations

import logging
import threading

import pytest
from support.host_double import ManualTime
from support.model_double import (
    GONE,
    PATIENCE_S,
    Openers,
    image,
    score_of,
    spec_of,
)

from sam6d_ros.errors import (
    BackendUnavailable,
    CheckpointError,
    InvalidConfig,
    NotReady,
    ResourceExhausted,
    UnknownName,
)
from sam6d_ros.runtime.model_server.host import ModelState
from sam6d_ros.runtime.model_server.models_file import ModelsFile
from sam6d_ros.runtime.model_server.registry import Registry
from sam6d_ros.runtime.model_server.slot import RegistryOptions


@pytest.fixture
def openers():
    return Openers()


@pytest.fixture
def make(openers):
    made = []

    def registry(options=None, **more):
        made.append(Registry({"double": openers}, options=options, **more))
        return made[-1]

    yield registry
    for one in made:
        one.close()


@pytest.fixture
def registry(make):
    return make()


def loaded(registry, name="m", source="double:a", **more):
    return registry.register(spec_of(name, source, **more)).result(PATIENCE_S)


def label_of(registry, name="m"):
    return registry.submit(name, image(1)).result(PATIENCE_S).boxes.labels[0]


def test_each_model_answers_under_its_name_with_its_own_thread_and_statistics(registry, openers):
    for name in ("b", "a"):
        report = loaded(registry, name, f"double:{name}")
        assert (report.state, report.backend, report.device) == (ModelState.READY, "double", "cpu")
    for name in ("a", "b", "a"):
        assert label_of(registry, name) == f"double:{name}"
    assert [report.spec.name for report in registry.list()] == ["a", "b"]
    assert [registry.stats(name).images for name in ("a", "b")] == [2, 1]
    assert openers.last("double:a").threads.isdisjoint(openers.last("double:b").threads)


def test_an_unknown_name_is_named_with_those_that_are_known(registry):
    loaded(registry, "known")
    for call in (
        registry.get,
        registry.stats,
        registry.unload,
        registry.warm_up,
        lambda name: registry.submit(name, image()),
        lambda name: registry.replace(spec_of(name)),
    ):
        with pytest.raises(UnknownName, match=r"'other'; registered: known"):
            call("other")


def test_a_taken_name_is_refused_and_the_model_answers_on(registry):
    loaded(registry)
    with pytest.raises(InvalidConfig, match="is registered"):
        registry.register(spec_of(source="double:b"))
    assert label_of(registry) == "double:a"


def test_a_model_that_fails_to_load_is_reported_and_harms_no_other(registry, openers):
    loaded(registry, "good")
    openers.errors["double:bad"] = CheckpointError("damaged file")
    openers.errors["double:worse"] = SystemExit("ends the program")
    for name in ("bad", "worse"):
        failed = registry.register(spec_of(name, f"double:{name}"))
        assert failed.exception(PATIENCE_S) is openers.errors[f"double:{name}"]
    states = {report.spec.name: (report.state, report.reason) for report in registry.list()}
    assert states["bad"] == (ModelState.LOAD_FAILED, "CheckpointError: damaged file")
    assert states["worse"] == (ModelState.LOAD_FAILED, "SystemExit: ends the program")
    assert states["good"] == (ModelState.READY, "")
    error = registry.submit("bad", image()).exception(PATIENCE_S)
    assert isinstance(error, NotReady)
    assert "damaged file" in str(error)
    assert label_of(registry, "good") == "double:a"
    openers.errors.clear()  # mended: the same name again
    assert loaded(registry, "bad", "double:bad").state is ModelState.READY
    assert label_of(registry, "bad") == "double:bad"


def test_a_model_that_breaks_in_a_call_harms_no_other(registry):
    loaded(registry, "good")
    loaded(registry, "bad", "double:b")
    error = registry.submit("bad", image(GONE)).exception(PATIENCE_S)
    assert isinstance(error, BackendUnavailable)
    assert registry.get("bad").state is ModelState.FAILED
    assert registry.get("good").state is ModelState.READY
    assert label_of(registry, "good") == "double:a"


def test_a_model_is_replaced_without_a_gap_under_load(registry, openers):
    loaded(registry, capacity=1000)
    openers.gates["double:b"] = gate = threading.Event()
    answers, stop = [], threading.Event()

    def client():
        while not stop.is_set():
            answers.append(registry.submit("m", image(1)).result(PATIENCE_S).boxes.labels[0])

    clients = [threading.Thread(target=client) for _ in range(3)]
    for thread in clients:
        thread.start()
    replaced = registry.replace(spec_of(source="double:b", capacity=1000))
    while len(answers) < 50:
        assert not replaced.done()
    gate.set()
    replaced.result(PATIENCE_S)
    seen = len(answers)
    while len(answers) < seen + 50:
        pass
    stop.set()
    for thread in clients:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()  # no request failed
    assert set(answers[:50]) == {"double:a"}
    # what waited at the swap came from the old one: one image of each client at most
    assert answers[seen:].count("double:a") <= len(clients)


def test_what_waits_for_the_old_model_is_finished_by_it(registry, openers):
    loaded(registry)
    old = openers.last("double:a")
    old.entered.clear()
    old.gate.clear()
    futures = [registry.submit("m", image(1))]
    assert old.entered.wait(PATIENCE_S)
    futures.append(registry.submit("m", image(2)))
    registry.replace(spec_of(source="double:b")).result(PATIENCE_S)
    assert label_of(registry) == "double:b"
    old.gate.set()
    assert [score_of(future.result(PATIENCE_S)) for future in futures] == [1, 2]
    assert {f.result().boxes.labels[0] for f in futures} == {"double:a"}


def test_a_replacement_that_fails_leaves_the_model_that_was_there(registry, openers):
    loaded(registry)
    openers.errors["double:b"] = CheckpointError("damaged file")
    failed = registry.replace(spec_of(source="double:b"))
    assert isinstance(failed.exception(PATIENCE_S), CheckpointError)
    report = registry.get("m")
    assert (report.state, report.spec.source) == (ModelState.READY, "double:a")
    assert label_of(registry) == "double:a"


def test_a_name_that_is_loading_takes_no_second_load_and_no_request(registry, openers):
    openers.gates["double:a"] = gate = threading.Event()
    loading = registry.register(spec_of())
    assert registry.get("m").state is ModelState.LOADING
    for call in (
        lambda: registry.register(spec_of()),
        lambda: registry.replace(spec_of()),
        lambda: registry.submit("m", image()),
    ):
        with pytest.raises(NotReady, match=r"loading|loaded"):
            call()
    gate.set()
    loading.result(PATIENCE_S)
    assert label_of(registry) == "double:a"


def test_an_unloaded_model_is_gone_and_its_memory_freed(registry, openers, caplog):
    with caplog.at_level(logging.INFO):
        loaded(registry)
        assert registry.unload("m")
    texts = [record.getMessage().partition(",")[0] for record in caplog.records]
    assert texts == ["loaded model 'm': double on cpu", "unloaded model 'm'"]
    assert openers.last("double:a").closed == 1
    assert registry.list() == ()
    with pytest.raises(UnknownName):
        registry.submit("m", image())


def test_a_load_that_is_unloaded_meanwhile_ends_without_a_model(make, openers):
    registry = make(RegistryOptions(patience_s=0.01))
    openers.gates["double:a"] = gate = threading.Event()
    openers.entered["double:a"] = entered = threading.Event()
    loading = registry.register(spec_of())
    assert entered.wait(PATIENCE_S)
    assert not registry.unload("m")
    assert isinstance(loading.exception(PATIENCE_S), NotReady)
    assert registry.list() == ()
    gate.set()
    assert loaded(registry).state is ModelState.READY  # after the first has ended
    assert [model.closed for model in openers.opened["double:a"]] == [1, 0]


def test_too_many_models_are_refused(make):
    registry = make(RegistryOptions(max_models=1))
    loaded(registry)
    with pytest.raises(ResourceExhausted, match="unload one"):
        registry.register(spec_of("other"))
    registry.replace(spec_of(source="double:b")).result(PATIENCE_S)


def test_a_closed_registry_frees_all_and_takes_nothing(make, openers):
    registry = make()
    loaded(registry, "a", "double:a")
    loaded(registry, "b", "double:b")
    assert registry.close()
    assert [openers.last(f"double:{name}").closed for name in "ab"] == [1, 1]
    with pytest.raises(NotReady, match="closed"):
        registry.register(spec_of())
    assert registry.restore() == ()


def test_registered_models_are_restored_and_one_that_fails_stays_in_the_file(
    make, openers, tmp_path
):
    file = ModelsFile(tmp_path / "models.json")
    first = make(file=file)
    for name in ("a", "b", "c"):
        loaded(first, name, f"double:{name}", threshold=0.25)
    first.register(spec_of("once", "double:once"), keep=False).result(PATIENCE_S)
    first.replace(spec_of("b", "double:b2")).result(PATIENCE_S)
    first.unload("c")
    openers.errors["double:no"] = CheckpointError("damaged file")
    first.register(spec_of("no", "double:no")).exception(PATIENCE_S)
    first.close()
    assert [spec.name for spec in file.read()] == ["a", "b"]

    openers.errors["double:a"] = CheckpointError("damaged file")
    second = make(file=file)
    futures = second.restore()
    assert isinstance(futures[0].exception(PATIENCE_S), CheckpointError)
    assert futures[1].result(PATIENCE_S).spec == spec_of("b", "double:b2")
    assert [(r.spec.name, r.state) for r in second.list()] == [
        ("a", ModelState.LOAD_FAILED),
        ("b", ModelState.READY),
    ]
    loaded(second, "d", "double:d")
    assert [(spec.name, spec.threshold) for spec in file.read()] == [
        ("a", 0.25),
        ("b", 0.5),
        ("d", 0.5),
    ]


def test_a_file_that_cannot_be_written_is_logged_and_the_model_answers(make, tmp_path, caplog):
    (tmp_path / "taken").touch()
    registry = make(file=ModelsFile(tmp_path / "taken" / "models.json"))
    assert loaded(registry).state is ModelState.READY
    assert "cannot write" in caplog.text
    assert label_of(registry) == "double:a"


def test_a_line_a_minute_for_each_model_in_use(make, caplog):
    time = ManualTime()
    registry = make(deadlines=time, clock=time.clock)
    loaded(registry, "used")
    loaded(registry, "idle", "double:b")
    loaded(registry, "silent", "double:c", metrics=False)
    for name in ("used", "silent"):
        label_of(registry, name)
    with caplog.at_level(logging.INFO):
        caplog.clear()
        for _ in range(3):
            time.advance(61)
        assert [record.getMessage()[:38] for record in caplog.records] == [
            "model 'used': 1 images, 0 errors, 0.0 "
        ]
        label_of(registry, "used")
        time.advance(61)
    assert len(caplog.records) == 2
