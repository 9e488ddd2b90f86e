"""TorchScript models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.buffers import Buffers, FreshBuffers
from sam6d_ros.detectors.model import run_in_batches
from sam6d_ros.errors import BackendUnavailable, CheckpointError, InvalidInput, install_extra


class TorchScriptRunner:
    """Model in a TorchScript file that takes (B, 3, H, W) and returns tensors with batch axis.

    Args:
        path: the file, as `torch.jit.save` writes it.
        max_batch: images in one call.
        device: as torch names it.
        buffers: memory for the input on the device (default: new for each call).

    Raises:
        BackendUnavailable: torch is not installed, or the device is missing.
        CheckpointError: the file is missing, damaged, or needs operators that are missing.
    """

    backend = "torchscript"

    def __init__(
        self,
        path: Path,
        max_batch: int = 1,
        device: str = "cpu",
        buffers: Buffers | None = None,
    ) -> None:
        try:
            import torch
        except ImportError as error:
            raise BackendUnavailable(
                f"TorchScript detectors need torch; {install_extra('sam6d')}"
            ) from error
        from sam6d_ros.detectors.torchvision_ops import provide_operators

        provide_operators()
        self._torch = torch
        self.max_batch = max_batch
        self._device, self._buffers = device, buffers or FreshBuffers()
        try:
            self._model = torch.jit.load(str(path), map_location=device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise CheckpointError(f"cannot load {path}: {_first_line(error)}") from error

    def run(self, tensors: Sequence[NDArray[np.float32]]) -> list[tuple[NDArray, ...]]:
        """Return the outputs of each tensor; see `protocol.Runner.run`."""
        return run_in_batches(self, tensors)

    def infer(self, batch: NDArray[np.float32]) -> Sequence[NDArray]:
        """Return the outputs of a batch; see `protocol.BatchRunner.infer`."""
        with self._torch.inference_mode(), self._buffers.device(batch.shape) as lent:
            given = to_device(self._torch, batch, self._device, lent)
            try:
                outputs = self._model(given)
            except RuntimeError as error:
                raise InvalidInput(
                    f"the model refuses {batch.shape}: {_last_line(error)}"
                ) from error
            if isinstance(outputs, self._torch.Tensor):
                outputs = (outputs,)
            return [output.cpu().numpy() for output in outputs]

    def close(self) -> None:
        """Free the model."""
        self._model = None


def to_device(torch: Any, batch: NDArray[np.float32], device: str, lent: Any | None) -> Any:
    """Return a batch as a tensor of the device, in the lent tensor if there is one."""
    tensor = torch.from_numpy(batch)
    # not blocking: from pinned memory the copy is on the stream of the model
    return tensor.to(device) if lent is None else lent.copy_(tensor, non_blocking=True)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
