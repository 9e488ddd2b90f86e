"""TensorRT engines on CUDA, after the API of TensorRT 10.

Written without a GPU: its tests run against a double of the module, no engine was ever run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.buffers import Buffers, FreshBuffers
from sam6d_ros.detectors.model import run_in_batches
from sam6d_ros.detectors.torchscript import to_device
from sam6d_ros.errors import BackendUnavailable, CheckpointError, InvalidInput


class TensorRtRunner:
    """Model in an engine file with one input (B, 3, H, W) and outputs of known length.

    Outputs whose length depends on the image, such as those of Faster R-CNN, are refused: engines
    of the layouts `yolov8` and `yolox` have none.

    Args:
        path: the engine, as `trtexec --saveEngine` writes it for this GPU and this TensorRT.
        max_batch: images in one call.
        device: as torch names it.
        buffers: memory for the input on the device (default: new for each call).

    Raises:
        BackendUnavailable: tensorrt or torch is not installed, or there is no GPU.
        CheckpointError: the file is missing, of another GPU or TensorRT, or has several inputs.
    """

    backend = "tensorrt"

    def __init__(
        self,
        path: Path,
        max_batch: int = 1,
        device: str = "cuda",
        buffers: Buffers | None = None,
    ) -> None:
        try:
            import tensorrt
            import torch
        except ImportError as error:
            raise BackendUnavailable(
                f"TensorRT engines need tensorrt and torch ({error}): pip install tensorrt torch"
            ) from error
        if not torch.cuda.is_available():
            raise BackendUnavailable("TensorRT engines need a GPU; torch finds none")
        self._torch = torch
        self._device, self._buffers = device, buffers or FreshBuffers()
        self._taken: dict[str, Any] = {}  # output tensors of the last call, by name
        self.max_batch = max_batch
        self._engine = _engine(tensorrt, path)
        names = [self._engine.get_tensor_name(k) for k in range(self._engine.num_io_tensors)]
        is_input = {
            name: self._engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT
            for name in names
        }
        inputs = [name for name in names if is_input[name]]
        if len(inputs) != 1:
            raise CheckpointError(f"{path} has {len(inputs)} inputs; expected one image tensor")
        self._input = inputs[0]
        self._outputs = [name for name in names if not is_input[name]]
        self._types = {
            name: np.dtype(tensorrt.nptype(self._engine.get_tensor_dtype(name))) for name in names
        }
        self._context = self._engine.create_execution_context()

    def run(self, tensors: Sequence[NDArray[np.float32]]) -> list[tuple[NDArray, ...]]:
        """Return the outputs of each tensor; see `protocol.Runner.run`."""
        return run_in_batches(self, tensors)

    def infer(self, batch: NDArray[np.float32]) -> Sequence[NDArray]:
        """Return the outputs of a batch; see `protocol.BatchRunner.infer`."""
        kind = self._types[self._input]
        if kind != np.float32:
            return self._infer(batch.astype(kind), None)
        with self._buffers.device(batch.shape) as lent:
            return self._infer(batch, lent)

    def close(self) -> None:
        """Free the engine."""
        self._context = None
        self._engine = None
        self._taken.clear()

    def _infer(self, batch: NDArray, lent: Any | None) -> list[NDArray]:
        torch = self._torch
        if not self._context.set_input_shape(self._input, batch.shape):
            raise InvalidInput(f"the model refuses {batch.shape}: outside the engine's profile")
        given = to_device(torch, batch, self._device, lent)
        self._context.set_tensor_address(self._input, given.data_ptr())
        taken = [self._output(name) for name in self._outputs]
        stream = torch.cuda.current_stream(self._device)
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise InvalidInput(f"the engine failed for {batch.shape}; its log has the reason")
        stream.synchronize()
        # copies: the tensors are used again
        return [tensor.cpu().numpy().copy() for tensor in taken]

    def _output(self, name: str) -> Any:
        shape = tuple(self._context.get_tensor_shape(name))
        if min(shape, default=0) < 0:
            raise InvalidInput(
                f"output '{name}' is {shape}: its length depends on the image; expected a fixed one"
            )
        tensor = self._taken.get(name)
        if tensor is None or tuple(tensor.shape) != shape:
            kind = self._torch.from_numpy(np.zeros(0, self._types[name])).dtype
            tensor = self._torch.empty(shape, dtype=kind, device=self._device)
            self._taken[name] = tensor
        self._context.set_tensor_address(name, tensor.data_ptr())
        return tensor


def _engine(tensorrt: Any, path: Path) -> Any:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise CheckpointError(
            f"{path} is no engine of this GPU and TensorRT {tensorrt.__version__}; build it here: "
            "trtexec --onnx=model.onnx --saveEngine=model.engine"
        )
    return engine
