"""The TensorRT runner against a double of TensorRT's module; no engine has run on a GPU."""

from __future__ import annotations

import ctypes
import sys
import types

import numpy as np
import pytest

from sam6d_ros.detectors.tensorrt import TensorRtRunner
from sam6d_ros.errors import BackendUnavailable, CheckpointError, InvalidInput
from sam6d_ros.runtime.model_server.buffers import ModelBuffers

torch = pytest.importorskip("torch", reason="torch is missing: make setup-sam6d")
pytestmark = pytest.mark.sam6d
INPUT, OUTPUT = "images", "output0"


class Context:
    """Writes the mean of each image, and its first value, to the address of the output."""

    def __init__(self, unknown_length: bool) -> None:
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.unknown_length = unknown_length

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)
        return name == INPUT and shape[0] <= 4

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def get_tensor_shape(self, name):
        assert name == OUTPUT
        return (self.shape[0], -1 if self.unknown_length else 2)

    def execute_async_v3(self, stream):
        assert stream == 7
        count = int(np.prod(self.shape))
        images = np.ctypeslib.as_array(self._pointer(INPUT), (count,)).reshape(self.shape)
        found = np.ctypeslib.as_array(self._pointer(OUTPUT), (2 * self.shape[0],))
        found[0::2] = images.reshape(len(images), -1).mean(1)
        found[1::2] = images[:, 0, 0, 0]
        return True

    def _pointer(self, name):
        return ctypes.cast(self.addresses[name], ctypes.POINTER(ctypes.c_float))


@pytest.fixture
def tensorrt(monkeypatch):
    double = types.ModuleType("tensorrt")
    double.__version__ = "10.0"
    double.TensorIOMode = types.SimpleNamespace(INPUT="in", OUTPUT="out")
    double.nptype = lambda _: np.float32
    double.Logger = type("Logger", (), {"ERROR": 1, "__init__": lambda self, level: None})
    double.names, double.unknown_length = [OUTPUT, INPUT], False
    engine = types.SimpleNamespace(
        get_tensor_name=lambda k: double.names[k],
        get_tensor_mode=lambda name: "out" if name == OUTPUT else "in",
        get_tensor_dtype=lambda name: "float",
        create_execution_context=lambda: Context(double.unknown_length),
    )

    def deserialize(data):
        engine.num_io_tensors = len(double.names)
        return engine if data == b"engine" else None

    double.Runtime = lambda _: types.SimpleNamespace(deserialize_cuda_engine=deserialize)
    stream = types.SimpleNamespace(cuda_stream=7, synchronize=lambda: None)
    monkeypatch.setitem(sys.modules, "tensorrt", double)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    return double


@pytest.fixture
def engine_file(tmp_path):
    path = tmp_path / "model.engine"
    path.write_bytes(b"engine")
    return path


def test_each_image_gets_its_own_outputs(tensorrt, engine_file):
    runner = TensorRtRunner(engine_file, max_batch=2, device="cpu")
    random = np.random.default_rng(1)
    images = [random.random((3, 8, side), np.float32) for side in (8, 6, 8, 8)]
    found = runner.run(images)
    for image, (outputs,) in zip(images, found, strict=True):
        np.testing.assert_allclose(outputs, [image.mean(), image[0, 0, 0]], atol=1e-6)
    runner.close()


class TorchOnCpu:
    """``Cuda`` in the memory of the host."""

    def pinned(self, count):
        return np.empty(count, np.float32)

    def tensor(self, count):
        return torch.empty(count)

    def stream(self):
        raise AssertionError("not asked for")


def test_tensors_are_used_again_and_outputs_are_not(tensorrt, engine_file):
    buffers = ModelBuffers("cuda", cuda=lambda _: TorchOnCpu())
    runner = TensorRtRunner(engine_file, max_batch=2, device="cpu", buffers=buffers)
    batches = [np.full((2, 3, 8, 8), value, np.float32) for value in (1, 2, 3)]
    found = [runner.infer(batch)[0] for batch in batches]
    assert [array[0, 0] for array in found] == [1, 2, 3]  # no answer is overwritten
    assert (buffers.device_pool.counts.allocated, buffers.device_pool.counts.reused) == (1, 2)


def test_what_the_engine_cannot_do_is_named(tensorrt, engine_file, tmp_path):
    image = np.zeros((3, 8, 8), np.float32)
    runner = TensorRtRunner(engine_file, max_batch=8, device="cpu")
    with pytest.raises(InvalidInput, match="profile"):
        runner.run([image] * 5)
    tensorrt.unknown_length = True
    with pytest.raises(InvalidInput, match="depends on the image"):
        TensorRtRunner(engine_file, device="cpu").run([image])
    tensorrt.names = [OUTPUT, INPUT, "second"]
    with pytest.raises(CheckpointError, match="2 inputs"):
        TensorRtRunner(engine_file, device="cpu")
    engine_file.write_bytes(b"of another GPU")
    with pytest.raises(CheckpointError, match=r"TensorRT 10\.0.*trtexec"):
        TensorRtRunner(engine_file, device="cpu")
    with pytest.raises(CheckpointError, match="cannot read"):
        TensorRtRunner(tmp_path / "none.engine", device="cpu")


def test_a_missing_library_or_gpu_is_named(tensorrt, engine_file, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailable, match="GPU"):
        TensorRtRunner(engine_file)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendUnavailable, match="pip install tensorrt"):
        TensorRtRunner(engine_file)
