"""Weights files: every way to be wrong gives one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")
from torch import nn  # noqa: E402

from sam6d_ros.errors import CheckpointError  # noqa: E402
from sam6d_ros.models.checkpoints import load_checkpoint, read_weights  # noqa: E402


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return {k: torch.full_like(v, 2) for k, v in Net().state_dict().items()}


def wrap(weights: dict[str, torch.Tensor], how: str) -> dict[str, object]:
    if how == "module.":
        return {"model": {f"module.{k}": v for k, v in weights.items()}}
    return {how: weights, "epoch": 3} if how else dict(weights)


@pytest.mark.parametrize("how", ["", "model", "state_dict", "module."])
def test_wrapped_weights_load(weights: dict, how: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(wrap(weights, how), path)
    net = load_checkpoint(Net(), path)
    assert torch.equal(net.linear.weight, torch.full((2, 3), 2.0))
    assert not net.training
    assert not net.linear.weight.requires_grad


def test_safetensors_load(weights: dict, tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    path = tmp_path / "w.safetensors"
    save_file(weights, path)
    assert torch.equal(load_checkpoint(Net(), path).linear.bias, torch.full((2,), 2.0))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CheckpointError, match=r"w\.safetensors .* truncated"):
        load_checkpoint(Net(), path)


def test_half_precision_is_widened(weights: dict, tmp_path: Path) -> None:
    halves = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    torch.save(halves, tmp_path / "w.pth")
    assert load_checkpoint(Net(), tmp_path / "w.pth").linear.weight.dtype == torch.float32


def test_old_files_without_batch_counters_load(weights: dict, tmp_path: Path) -> None:
    del weights["norm.num_batches_tracked"]
    torch.save(weights, tmp_path / "w.pth")
    load_checkpoint(Net(), tmp_path / "w.pth")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.pth does not exist; .*weights fetch"):
        load_checkpoint(Net(), tmp_path / "gone.pth")


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_truncated_file(weights: dict, keep: float, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(weights, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match=r"w\.pth .* cannot be read: .*[Dd]elete it"):
        load_checkpoint(Net(), path)


def test_other_network(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(nn.Linear(3, 5).state_dict(), path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(Net(), path)
    text = str(caught.value)
    assert "w.pth is not a Net checkpoint" in text
    assert "missing: linear.weight" in text
    assert "unexpected: weight" in text


def test_other_shape(weights: dict, tmp_path: Path) -> None:
    weights["linear.weight"] = torch.zeros(2, 4)
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"linear\.weight \(2, 4\) instead of \(2, 3\)"):
        load_checkpoint(Net(), tmp_path / "w.pth")


class Payload:
    """Would run a command when unpickled carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self.path,))


def test_code_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    torch.save({"model": Payload(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="holds more than weights and was not opened"):
        read_weights(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}])
def test_file_without_weights(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"dict of weights|no tensors"):
        read_weights(tmp_path / "w.pth")
