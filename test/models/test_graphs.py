"""Graphs, recorded on the CPU by a recorder that refuses what a GPU refuses."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from support.device_counts import pretend  # noqa: E402
from support.pretend_cuda import DEVICE, Pretended  # noqa: E402

from sam6d_ros.models import graphs  # noqa: E402
from sam6d_ros.models.graphs import Graphs  # noqa: E402
from sam6d_ros.models.steps import HostWork, Steps, run, without_host  # noqa: E402
from sam6d_ros.models.transfer import to_device, to_host  # noqa: E402


def square_sum(first: torch.Tensor, second: torch.Tensor) -> Steps[tuple[torch.Tensor]]:
    """Two parts on the device with a part on the host between."""
    total = (first * second).sum(1)
    (root,) = yield HostWork(lambda value: (value.sqrt(),), (total,))
    root.add_(1)
    return ((root[:, None] * first).contiguous(),)


def given(batch: int, number: int) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(number)
    return [torch.rand(batch, 5, generator=random) for _ in range(2)]


def test_a_recording_computes_what_the_program_does() -> None:
    with pretend() as seen:
        recorded = Graphs(square_sum)
        for number, batch in enumerate((4, 4, 2, 4, 2)):
            values = given(batch, number)
            (found,) = to_host(*recorded(*(to_device(t, DEVICE) for t in values)))
            assert torch.allclose(found, run(square_sum(*values))[0])
        assert recorded.shapes == 2
        with seen.at("again"):
            recorded(*(Pretended(t) for t in given(4, 9)))
    assert seen.count("again", "wait") == 1
    assert seen.count("again", "launch") == 5  # two graphs, copies of two inputs and of the root
    assert seen.count("again", "pageable") == 0


def test_on_the_cpu_nothing_is_recorded() -> None:
    recorded = Graphs(square_sum)
    assert torch.allclose(recorded(*given(3, 1))[0], run(square_sum(*given(3, 1)))[0])
    assert recorded.shapes == 0


@pytest.mark.parametrize(
    "work",
    [
        lambda t: (t[t > 0.5],),
        lambda t: (t * float(t.sum()),),
        lambda t: (t + torch.tensor([1.0], device=t.device),),
        lambda t: (t + to_device(torch.ones(1), DEVICE),),
    ],
    ids=["boolean index", "number read", "pageable copy", "copy from the host"],
)
def test_the_recorder_refuses_waits_and_copies(work: object) -> None:
    with pretend():
        recorded = Graphs(without_host(work))  # type: ignore[arg-type]
        with pytest.raises(AssertionError, match="while a graph is recorded"):
            recorded(Pretended(torch.rand(6)))


def test_a_gpu_that_refuses_launches_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    with pretend(), pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(graphs, "record", refuse)
        recorded = Graphs(square_sum)
        values = given(3, 1)
        for _ in range(2):
            (found,) = to_host(*recorded(*(Pretended(t) for t in values)))
            assert torch.allclose(found, run(square_sum(*values))[0])
    assert len([r for r in caplog.records if "no graph was recorded" in r.message]) == 1


@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "hidden"])
def test_running_out_of_memory_while_recording_is_reported_as_such(hidden: bool) -> None:
    """The caller then halves its batch, and graphs are recorded for that one."""

    def refuse(*_: object) -> None:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            if hidden:
                raise RuntimeError("operation failed due to a previous error during capture")

    with pretend(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "record", refuse)
        recorded = Graphs(square_sum)
        with pytest.raises(torch.OutOfMemoryError):
            recorded(*(Pretended(t) for t in given(3, 1)))
        assert not recorded._refused


@dataclass(frozen=True)
class FakeStream:
    """A stream of one GPU."""

    device: object


class FakeCuda:
    """The calls of ``graphs.record``; the end of a recording fails and leaves its stream current.

    So does ``torch.cuda.graph.__exit__``: it ends the recording before it restores the stream.
    """

    CUDAGraph = staticmethod(lambda: SimpleNamespace(replay=None))
    graph_pool_handle = staticmethod(object)
    device = staticmethod(lambda device: nullcontext())
    Stream = FakeStream

    def __init__(self) -> None:
        self.current, self.used = FakeStream("main"), []
        self.own = FakeStream("of the first recording")

    def current_stream(self, device: object) -> FakeStream:
        return self.current

    @contextmanager
    def stream(self, stream: FakeStream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(
        self,
        graph: object,
        pool: object = None,
        stream: FakeStream | None = None,
        capture_error_mode: str = "global",
    ) -> Iterator[None]:
        self.current = stream or self.own
        self.used.append(self.current)
        yield
        raise RuntimeError("capture failed")


def test_graphs_are_recorded_on_a_stream_of_their_gpu_and_the_stream_before_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else another GPU records nothing, or a refusing one goes on beside the other threads."""
    cuda = FakeCuda()
    monkeypatch.setattr(torch, "cuda", cuda)
    devices = [torch.device("cuda", n) for n in (0, 1, 0)]
    graphs.capture_stream.cache_clear()
    for device in devices:
        with pytest.raises(RuntimeError, match="capture failed"):
            graphs.record(lambda: None, device, None)
        assert cuda.current == FakeStream("main")
    graphs.capture_stream.cache_clear()
    assert [stream.device for stream in cuda.used] == devices
    assert cuda.used[0] is cuda.used[2]
