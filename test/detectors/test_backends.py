"""TorchScript and ONNX Runtime: the boxes of the eager model, in the pixels of the image."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.tiny_detector import CELL, FOUND, MANIFEST, tiny_model, write_onnx, write_torchscript

from sam6d_ros.detectors.buffers import FreshBuffers
from sam6d_ros.detectors.model import ModelDetector, batches
from sam6d_ros.errors import CheckpointError, InvalidConfig, InvalidInput

# torch.jit and the exporter that writes plain operators are what Triton's backends load
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
RANDOM = np.random.default_rng(7)


def torchscript(folder: Path, **more):
    path = write_torchscript(folder)
    from sam6d_ros.detectors.torchscript import TorchScriptRunner

    return TorchScriptRunner(path, **more)


def onnx(folder: Path, **more):
    path = write_onnx(folder)
    from sam6d_ros.detectors.onnx import OnnxRunner

    return OnnxRunner(path, **more)


RUNNERS = [
    pytest.param(torchscript, marks=pytest.mark.sam6d, id="torchscript"),
    pytest.param(onnx, marks=pytest.mark.sam6d, id="onnx"),  # torch writes the file
]


def photo(height: int, width: int) -> np.ndarray:
    return RANDOM.integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("build", RUNNERS)
def test_every_backend_gives_what_the_eager_model_gives(build, tmp_path):
    import torch

    tensors = [RANDOM.random((3, 64, 96), np.float32) for _ in range(3)]
    tensors.insert(1, RANDOM.random((3, 48, 64), np.float32))  # another size between them
    with torch.inference_mode():
        wanted = [tiny_model()(torch.from_numpy(tensor)[None]) for tensor in tensors]
    for largest in (1, 2, 8):
        runner = build(tmp_path, max_batch=largest)
        for outputs, eager in zip(runner.run(tensors), wanted, strict=True):
            assert [output.shape for output in outputs] == [(FOUND, 4), (FOUND,), (FOUND,)]
            for output, tensor in zip(outputs, eager, strict=True):
                np.testing.assert_allclose(output, tensor[0].numpy(), atol=1e-4)
        runner.close()
        runner.close()


@pytest.mark.parametrize("build", RUNNERS)
def test_a_bright_patch_is_boxed_in_the_pixels_of_its_image(build, tmp_path):
    detector = ModelDetector(MANIFEST, build(tmp_path, max_batch=8), threshold=0.9)
    image = np.zeros((70, 100, 3), np.uint8)  # no multiple of the cell: padded
    image[2 * CELL : 3 * CELL, 4 * CELL : 5 * CELL] = 255
    first, second = detector.detect([image, image[CELL : 4 * CELL]])  # the second from lower down
    assert (first.labels, second.labels) == (("third",), ("second",))
    assert first.xyxy.tolist() == [[4 * CELL, 2 * CELL, 5 * CELL, 3 * CELL]]
    assert second.xyxy.tolist() == [[4 * CELL, CELL, 5 * CELL, 2 * CELL]]
    assert len(detector.detect([np.zeros_like(image)])[0]) == 0
    detector.warm_up()
    detector.close()


@pytest.mark.parametrize("build", RUNNERS)
def test_a_tensor_that_the_model_refuses_is_the_callers_matter(build, tmp_path):
    runner = build(tmp_path)
    with pytest.raises(InvalidInput, match=r"refuses \(1, 3, 8, 8\)"):
        runner.run([np.zeros((3, 8, 8), np.float32)])  # smaller than a cell


@pytest.mark.parametrize(
    ("build", "name"), [(torchscript, "model.pt"), (onnx, "model.onnx")], ids=["pt", "onnx"]
)
@pytest.mark.sam6d
def test_a_damaged_or_missing_file_is_named(build, name, tmp_path):
    runner = type(build(tmp_path))
    for path in (tmp_path / "none", tmp_path / name):
        path.write_bytes(b"no model") if path.exists() else None
        with pytest.raises(CheckpointError, match=path.name):
            runner(path)


@pytest.mark.sam6d
def test_torchscript_runs_on_the_tensor_that_is_lent(tmp_path):
    """As on CUDA, where the tensor is on the device and used again."""
    torch, lent = pytest.importorskip("torch"), []

    class Lender(FreshBuffers):
        @contextmanager
        def device(self, shape):
            lent.append(torch.full(shape, float("nan")))
            yield lent[-1]

    plain, on_device = torchscript(tmp_path), torchscript(tmp_path, buffers=Lender())
    batch = RANDOM.random((2, 3, 64, 96), np.float32)
    for one, other in zip(plain.infer(batch), on_device.infer(batch), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(lent[0].numpy(), batch)


def test_batches_hold_one_size_each_and_every_image_once():
    sizes = [(8, 8), (8, 9), (8, 8), (8, 8), (8, 9), (9, 8)]
    tensors = [np.full((3, *size), place, np.float32) for place, size in enumerate(sizes)]
    made = batches(tensors, 2)
    assert sorted(place for places, _ in made for place in places) == list(range(6))
    for places, batch in made:
        assert len(places) == len(batch) <= 2
        assert [int(row[0, 0, 0]) for row in batch] == places


def test_an_impossible_threshold_is_refused():
    for threshold in (-0.1, 1.5, float("nan")):
        with pytest.raises(InvalidConfig, match="threshold"):
            ModelDetector(MANIFEST, None, threshold)  # type: ignore[arg-type]
