"""TorchScript models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.model import batches
from sam6d_ros.errors import BackendUnavailable, CheckpointError, InvalidInput


class TorchScriptRunner:
    """Model in a TorchScript file that takes (B, 3, H, W) and returns tensors with batch axis.

    Args:
        path: the file, as `torch.jit.save` writes it.
        max_batch: images in one call.
        device: as torch names it.

    Raises:
        BackendUnavailable: torch is not installed, or the device is missing.
        CheckpointError: the file is missing, damaged, or needs operators that are missing.
    """

    def __init__(self, path: Path, max_batch: int = 1, device: str = "cpu") -> None:
        try:
            import torch
        except ImportError as error:
            raise BackendUnavailable(
                "TorchScript detectors need torch: pip install 'sam6d_ros[sam6d]'"
            ) from error
        from sam6d_ros.detectors.torchvision_ops import provide_operators

        provide_operators()
        self._torch = torch
        self._max_batch = max_batch
        self._device = device
        try:
            self._model = torch.jit.load(str(path), map_location=device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise CheckpointError(f"cannot load {path}: {_first_line(error)}") from error

    def run(self, tensors: Sequence[NDArray[np.float32]]) -> list[tuple[NDArray, ...]]:
        """Return the outputs of each tensor; see `protocol.Runner.run`."""
        results: dict[int, tuple[NDArray, ...]] = {}
        for places, batch in batches(tensors, self._max_batch):
            with self._torch.inference_mode():
                try:
                    outputs = self._model(self._torch.from_numpy(batch).to(self._device))
                except RuntimeError as error:
                    raise InvalidInput(
                        f"the model refuses {batch.shape}: {_last_line(error)}"
                    ) from error
            if isinstance(outputs, self._torch.Tensor):
                outputs = (outputs,)
            arrays = [output.cpu().numpy() for output in outputs]
            for row, place in enumerate(places):
                results[place] = tuple(array[row] for array in arrays)
        return [results[place] for place in range(len(tensors))]

    def close(self) -> None:
        """Free the model."""
        self._model = None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
