"""Full float32 whatever the process allows, and results that no order of sums or ties decides."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.models import pose_solver  # noqa: E402
from sam6d_ros.models.device import encoding  # noqa: E402
from sam6d_ros.models.exact import _settings, exact_float32, inference  # noqa: E402
from sam6d_ros.models.triples import align_triples, repeats_a_point, smallest  # noqa: E402

BACKENDS = torch.backends


def allow(place: object, value: str) -> Callable[[], None]:
    def change() -> None:
        if hasattr(place, "fp32_precision"):  # torch 2.9 and newer
            place.fp32_precision = value

    return change


HOSTS = {
    "as it comes": lambda: None,
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "flag": lambda: setattr(BACKENDS.cuda.matmul, "allow_tf32", True),
    "newer": allow(BACKENDS.cuda.matmul, "tf32"),
    "newer, cpu": allow(BACKENDS.mkldnn.matmul, "bf16"),
}


@pytest.fixture(params=sorted(HOSTS))
def host(request: pytest.FixtureRequest) -> Iterator[tuple]:
    """A process that allows less than float32."""
    before = _settings()
    HOSTS[request.param]()
    yield _settings()
    torch.set_float32_matmul_precision(before[0])
    BACKENDS.cudnn.allow_tf32 = before[1]


def is_exact() -> bool:
    return _settings()[:2] == ("highest", False) and set(_settings()[2]) <= {"ieee"}


def test_tf32_is_off_meanwhile_and_restored(host: tuple) -> None:
    with exact_float32():
        assert is_exact()
        with inference():
            assert is_exact()
            assert torch.is_inference_mode_enabled()
        assert is_exact()
    assert _settings() == host
    with encoding(torch.bfloat16, torch.device("cpu")):
        assert is_exact()
    assert _settings() == host


def test_an_error_inside_restores_too(host: tuple) -> None:
    with pytest.raises(RuntimeError, match="inside"), exact_float32():
        raise RuntimeError("inside")
    assert _settings() == host


def test_the_last_of_several_threads_restores(host: tuple) -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with exact_float32():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with exact_float32():
        thread.start()
        assert entered.wait(60)
    assert is_exact(), "the other thread is still inside"
    leave.set()
    thread.join()
    assert _settings() == host


def rigid(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    model = torch.randn(count, 3, 3, generator=random) * 0.5
    turn = torch.linalg.qr(torch.randn(count, 3, 3, generator=random))[0]
    turn = turn * torch.linalg.det(turn).sign()[:, None, None]
    seen = model @ turn.mT + torch.tensor([0.5, -1.0, 8.0])
    return model, seen + 0.05 * torch.randn(seen.shape, generator=random)


def test_triples_align_as_by_decomposition() -> None:
    model, seen = rigid(500, 5)
    rotation, translation = align_triples(model, seen)
    expected = pose_solver.procrustes(model, seen)
    assert (rotation @ rotation.mT - torch.eye(3)).abs().max() < 1e-5
    assert torch.linalg.det(rotation).min() > 0.99
    spread = (model - model.mean(1, True)).mT @ (seen - seen.mean(1, True))
    values = torch.linalg.svdvals(spread)
    unique = values[:, 1] / values[:, 0] > 1e-2
    assert unique.sum() > 400
    assert (rotation - expected[0])[unique].abs().max() < 1e-4
    assert (translation - expected[1])[unique].abs().max() < 1e-3


@pytest.mark.parametrize("same", [(0, 1), (1, 2), (0, 2), (0, 1, 2)])
def test_triples_without_area_get_a_rotation_all_the_same(same: tuple[int, ...]) -> None:
    model, seen = rigid(50, 6)
    model[:, same] = model[:, same[:1]]
    assert repeats_a_point(model).all()
    assert not repeats_a_point(seen).any()
    rotation, translation = align_triples(model, seen)
    assert torch.isfinite(translation).all()
    assert (rotation @ rotation.mT - torch.eye(3)).abs().max() < 1e-5
    assert torch.equal(rotation, align_triples(model, seen)[0])


def test_kept_triples_that_repeat_a_point_are_decomposed() -> None:
    """The golden vectors hold such winners; their rotation is the decomposition's choice."""
    random = torch.Generator().manual_seed(7)
    points = torch.randn(2, 30, 3, generator=random) + torch.tensor([0.0, 0.0, 8.0])
    model = torch.randn(1, 20, 3, generator=random)
    matches = torch.randint(0, 600, (2, 300), generator=random)
    matches[:, 1:150:3] = matches[:, :150:3]  # of 100 triples, 50 repeat a match
    drawn = pose_solver.hypothesise(matches, points, model)
    kept, numbers = pose_solver.keep_best(drawn, 80)
    solved = pose_solver.decompose_repeats(kept, numbers, matches, points, model)
    observed, surface = pose_solver._triples(matches, points, model)
    expected = pose_solver.procrustes(surface, observed, floor=0.5)[0].unflatten(0, (2, -1))
    repeated = (repeats_a_point(observed) | repeats_a_point(surface)).unflatten(0, (2, -1))
    repeated = repeated.gather(1, numbers)
    assert repeated.sum() >= 60
    chosen = expected.gather(1, numbers[..., None, None].expand(-1, -1, 3, 3))
    assert torch.equal(solved.rotation[repeated], chosen[repeated])
    assert torch.equal(solved.rotation[~repeated], kept.rotation[~repeated])


def test_ties_go_to_the_first() -> None:
    values = torch.tensor([[3.0, 0.0, -0.0, 2.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0, 0.5]])
    assert smallest(values, 4).tolist() == [[1, 2, 4, 3], [5, 0, 1, 2]]
    far = torch.tensor([float("inf"), 1e38, 1e-45, float("nan")])
    assert smallest(far, 4).tolist() == [2, 1, 0, 3]


def test_sampling_weights_are_summed_without_an_order() -> None:
    """Float sums are not deterministic on CUDA; torch would refuse them where that is asked."""
    logits = torch.randn(2, 41, 37, generator=torch.Generator().manual_seed(8)) * 4
    assignment = pose_solver.assign(logits)
    cumulated = pose_solver.sampling_distribution(assignment)
    weights = (assignment.foreground() ** 1.5).flatten(1).double()
    expected = weights.cumsum(-1) / weights.sum(-1, keepdim=True)
    assert cumulated.dtype == torch.float32
    assert (cumulated - expected).abs().max() < 1e-6
    assert (cumulated.diff() >= 0).all()


def test_mixed_precision_of_the_host_process_is_off() -> None:
    x = torch.ones(4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with inference():
            assert (x @ x).dtype == torch.float32
        with encoding(torch.float16, torch.device("cpu")):
            assert (x @ x).dtype == torch.float16
