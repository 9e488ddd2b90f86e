"""ONNX models on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.model import run_in_batches
from sam6d_ros.errors import BackendUnavailable, CheckpointError, InvalidInput, install_extra

SPINNING = "session.intra_op.allow_spinning"  # of onnxruntime_session_options_config_keys.h
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRunner:
    """Model in an ONNX file with one input (B, 3, H, W) and outputs with batch axis.

    Args:
        path: the file.
        max_batch: images in one call; fewer where the file has a batch axis of fixed length.
        device: `cpu` or `cuda`.
        threads: of one call; 0 takes all cores.

    Raises:
        BackendUnavailable: onnxruntime is not installed, or its build has not the device.
        CheckpointError: the file is missing, damaged, or has several inputs.
    """

    backend = "onnxruntime"

    def __init__(
        self, path: Path, max_batch: int = 1, device: str = "cpu", threads: int = 0
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise BackendUnavailable(
                f"ONNX detectors need onnxruntime; {install_extra('detectors')}"
            ) from error
        provider = PROVIDERS.get(device.partition(":")[0], device)
        if provider not in onnxruntime.get_available_providers():
            raise BackendUnavailable(
                f"this onnxruntime has no {provider}; for CUDA: pip install onnxruntime-gpu"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait in a loop take the cores from other models: four small networks at once
        # gave 180 images/s so, and 333 without, on 2 cores (python -m benchmarks.model_server).
        options.add_session_config_entry(SPINNING, "0")
        options.log_severity_level = 3  # errors: they are raised as well
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=[provider]
            )
        except Exception as error:  # its errors have no common base
            raise CheckpointError(f"cannot load {path}: {str(error).splitlines()[0]}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise CheckpointError(f"{path} has {len(inputs)} inputs; expected one image tensor")
        self._input = inputs[0].name
        fixed = inputs[0].shape[0]
        self.max_batch = min(fixed, max_batch) if isinstance(fixed, int) else max_batch

    def run(self, tensors: Sequence[NDArray[np.float32]]) -> list[tuple[NDArray, ...]]:
        """Return the outputs of each tensor; see `protocol.Runner.run`."""
        return run_in_batches(self, tensors)

    def infer(self, batch: NDArray[np.float32]) -> Sequence[NDArray]:
        """Return the outputs of a batch; see `protocol.BatchRunner.infer`."""
        try:
            return self._session.run(None, {self._input: batch})
        except Exception as error:  # its errors have no common base
            raise InvalidInput(f"the model refuses {batch.shape}: {error}") from error

    def close(self) -> None:
        """Free the session."""
        self._session = None
