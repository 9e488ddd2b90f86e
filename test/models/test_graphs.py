"""Graphs, recorded on the CPU by a recorder that refuses what a GPU refuses."""

from __future__ import annotations

import logging

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


def test_a_gpu_that_refuses_launches_one_by_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    with pretend(), caplog.at_level(logging.WARNING):
        monkeypatch.setattr(graphs, "record", refuse)
        recorded = Graphs(square_sum)
        values = given(3, 1)
        for _ in range(2):
            (found,) = to_host(*recorded(*(Pretended(t) for t in values)))
            assert torch.allclose(found, run(square_sum(*values))[0])
    assert len([r for r in caplog.records if "no graph was recorded" in r.message]) == 1


def test_running_out_of_memory_while_recording_is_reported_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller then halves its batch."""

    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pretend():
        monkeypatch.setattr(graphs, "record", refuse)
        with pytest.raises(torch.OutOfMemoryError):
            Graphs(square_sum)(*(Pretended(t) for t in given(3, 1)))
