"""Sign to work in progress that its host stopped serving, and readiness in words."""

import threading

import pytest
from support.host_double import PATIENCE_S, Gate, Numbered, outcome, serving, settle

from sam6d_ros.errors import CheckpointError, NotReady
from sam6d_ros.runtime.host import Host
from sam6d_ros.runtime.request import Request


class Publishing:
    """Item or request that asks before it publishes; a barrier holds it before that."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=PATIENCE_S)
        self.published: list[object] = []
        self.refused: list[BaseException] = []

    def __call__(self, engine, ctx) -> str:
        self.barrier.wait()  # it is in progress
        self.barrier.wait()  # the test has done its part
        try:
            ctx.checkpoint()
        except NotReady as error:
            self.refused.append(error)
            raise
        self.published.append(engine)
        return ""


def end_drain(host):
    assert not host.drain(0)


def in_progress(host, publishing, way):
    if way == "item":
        assert host.offer(publishing)
    else:
        host.submit(Request(publishing))
    publishing.barrier.wait()


@pytest.fixture
def build() -> Numbered:
    return Numbered()


@pytest.fixture
def host(build):
    made = Host(build, lambda engine, item, ctx: item(engine, ctx), name="host")
    yield made
    made.close(PATIENCE_S)


ENDS = {
    "deactivate": lambda host: host.deactivate("the node was deactivated"),
    "deactivate and activate": lambda host: (host.deactivate("deactivated"), host.activate()),
    "unload": lambda host: host.unload(),
    "close": lambda host: host.close(),
    "drain out of time": end_drain,
    "deactivate in a reload": lambda host: (host.reload(), host.deactivate()),
}


@pytest.mark.parametrize("way", ["item", "request"])
@pytest.mark.parametrize("end", ENDS)
def test_work_in_progress_learns_that_its_host_stopped_serving(host, end, way):
    serving(host)
    publishing = Publishing()
    in_progress(host, publishing, way)
    ENDS[end](host)
    publishing.barrier.wait()
    host.close(PATIENCE_S)
    assert publishing.published == []
    assert len(publishing.refused) == 1
    assert host.status.snapshot().figures.processed == 0
    assert host.status.snapshot().figures.failed == 0


@pytest.mark.parametrize("way", ["item", "request"])
def test_work_in_progress_goes_on_in_a_reload_and_in_a_drain(host, way):
    serving(host)
    for begin in (host.reload, lambda: threading.Thread(target=host.drain, args=(PATIENCE_S,))):
        publishing = Publishing()
        in_progress(host, publishing, way)
        begun = begin()
        if isinstance(begun, threading.Thread):
            begun.start()
            while host.active:
                pass
        publishing.barrier.wait()
        settle(host)
        assert len(publishing.published) == 1


def test_the_sign_gives_the_reason(host):
    serving(host)
    publishing = Publishing()
    in_progress(host, publishing, "item")
    host.deactivate("the node was deactivated")
    publishing.barrier.wait()
    settle(host)
    assert [str(error) for error in publishing.refused] == ["the node was deactivated"]


def test_no_stage_begins_after_the_end_of_service(host):
    serving(host)
    gate, request = Gate(), None
    request = Request(gate)
    host.submit(request)
    gate.wait_entered()
    host.deactivate()
    gate.open()
    settle(host)
    assert request.stage == "first"


def test_an_unloading_host_is_not_activated(host):
    serving(host)
    publishing = Publishing()
    in_progress(host, publishing, "item")
    unloading = host.unload()
    with pytest.raises(NotReady):
        host.activate()
    publishing.barrier.wait()
    unloading.result(PATIENCE_S)


def test_readiness_is_empty_or_the_reason_in_words(host, build):
    seen = [host.readiness()]
    build.error = CheckpointError("pem.pth is truncated")
    outcome(host.load())
    seen.append(host.readiness())
    host.deactivate()
    seen.append(host.readiness())
    build.error = None
    host.load().result(PATIENCE_S)
    seen.append(host.readiness())
    host.activate()
    seen.append(host.readiness())
    host.drain(PATIENCE_S)
    seen.append(host.readiness())
    host.close(PATIENCE_S)
    assert [*seen, host.readiness()] == [
        "host is not loaded",
        "host is not loaded: pem.pth is truncated",
        "host is not loaded: pem.pth is truncated",
        "host is not active",
        "",
        "host is draining",
        "host is closed",
    ]


def test_a_drain_waits_for_the_item_in_progress(host):
    serving(host)
    publishing, drained = Publishing(), []
    in_progress(host, publishing, "item")
    drain = threading.Thread(
        target=lambda: drained.append((host.drain(PATIENCE_S), len(publishing.published)))
    )
    drain.start()
    while host.active:
        pass
    assert not host.offer(publishing)
    publishing.barrier.wait()
    drain.join(PATIENCE_S)
    assert drained == [(True, 1)]
