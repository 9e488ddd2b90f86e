"""Detectors on a Triton server, over HTTP or gRPC, with shared memory where it is local."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.buffers import Buffers
from sam6d_ros.detectors.manifest import Manifest
from sam6d_ros.detectors.model import DEFAULT_THRESHOLD, ModelDetector, batches
from sam6d_ros.detectors.triton.channel import CHANNELS, Answer, Channel
from sam6d_ros.detectors.triton.memory import SharedInputs
from sam6d_ros.detectors.triton.repository import PARAMETER
from sam6d_ros.errors import BackendUnavailable, InvalidInput, NotReady

LOG = logging.getLogger(__name__)
DEFAULT_PORTS = {"http": 8000, "grpc": 8001}
TIMEOUT_S = 60.0  # of one request: Faster R-CNN takes 5 to 9 s an image on two cores
RETRY_PAUSE_S = 0.2


@dataclass(frozen=True)
class ServedModel:
    """A model on a server.

    Attributes:
        name: of the model.
        url: host and port.
        protocol: `http` or `grpc`.
        shared_memory: whether input tensors pass through memory of this machine.
        timeout_s: longest wait for one answer.
        patience_s: for how long a request is repeated while the server or the model is not there.
    """

    name: str
    url: str = f"127.0.0.1:{DEFAULT_PORTS['http']}"
    protocol: str = "http"
    shared_memory: bool = False
    timeout_s: float = TIMEOUT_S
    patience_s: float = 0.0


def connect(
    served: ServedModel,
    manifest: Manifest | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    buffers: Buffers | None = None,
) -> ModelDetector:
    """Return the detector of a model on a server.

    Args:
        served: which model, where.
        manifest: of the model; by default the one in its configuration, else that of COCO's 91
            labels and images of any size.
        threshold: lowest score of a returned box.
        buffers: memory of the input tensors (default: new for each call).

    Raises:
        BackendUnavailable: no server answers, or the client is not installed.
        NotReady: the model is not loaded.
        InvalidInput: the model has no single input, or an unknown protocol.
    """
    runner = TritonRunner(served)
    try:
        found = manifest or manifest_of(runner.config, served.name)
        return ModelDetector(found, runner, threshold, buffers)
    except BaseException:
        runner.close()
        raise


def manifest_of(config: dict[str, Any], name: str) -> Manifest:
    """Return the manifest in a model's configuration, or the default."""
    text = config.get("parameters", {}).get(PARAMETER, {}).get("string_value", "")
    found = Manifest.from_json(text, f"parameter {PARAMETER} of '{name}'") if text else None
    largest = max(int(config.get("max_batch_size", 0)), 1)
    return replace(found or Manifest(name), max_batch=largest)


class TritonRunner:
    """Model on a server; see `protocol.Runner`. One thread uses it at a time.

    Args:
        served: which model, where.

    Raises:
        BackendUnavailable: no server answers, or the client is not installed.
        NotReady: the model is not loaded.
        InvalidInput: an unknown protocol, or a model with several inputs.
    """

    backend = "triton"

    def __init__(self, served: ServedModel) -> None:
        if served.protocol not in CHANNELS:
            raise InvalidInput(f"protocol is '{served.protocol}'; expected {' or '.join(CHANNELS)}")
        self._served = served
        self._channel: Channel | None = None
        self._memory: SharedInputs | None = None
        self.config: dict[str, Any] = {}
        self._patiently(self._read_config)
        inputs = self.config.get("input", [])
        if len(inputs) != 1:
            self.close()
            raise InvalidInput(f"'{served.name}' has {len(inputs)} inputs; expected an image")
        self._input = inputs[0]["name"]
        self._outputs = sorted((entry["name"] for entry in self.config["output"]), key=_number)
        self._max_batch = int(self.config.get("max_batch_size", 0))  # 0: no batch axis

    def run(self, tensors: Sequence[NDArray[np.float32]]) -> list[tuple[NDArray, ...]]:
        """Return the outputs of each tensor; all requests are on their way at once."""
        return list(self._patiently(lambda: self._run_once(tensors)))

    def close(self) -> None:
        """Close the connection and remove the shared memory; a second call has no effect."""
        if self._channel is None:
            return
        if self._memory is not None:
            self._memory.close(self._channel)
            self._memory = None
        self._channel.close()
        self._channel = None

    def _patiently(self, work: Any) -> Any:
        deadline = time.monotonic() + self._served.patience_s
        while True:
            try:
                return work()
            except (BackendUnavailable, NotReady) as error:
                if time.monotonic() >= deadline:
                    raise
                LOG.info("repeating the request: %s", error)
                self._disconnect()
                time.sleep(RETRY_PAUSE_S)

    def _disconnect(self) -> None:
        """Close the connection; the next request makes another."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._memory is not None:
            self._memory.forget()

    def _connected(self) -> Channel:
        if self._channel is None:
            served = self._served
            self._channel = CHANNELS[served.protocol](served.url, served.timeout_s)
        return self._channel

    def _read_config(self) -> None:
        self.config = self._connected().config(self._served.name)

    def _run_once(self, tensors: Sequence[NDArray[np.float32]]) -> list[tuple[NDArray, ...]]:
        made = batches(tensors, max(self._max_batch, 1))
        answers = [self._send(place, batch) for place, (_, batch) in enumerate(made)]
        results: dict[int, tuple[NDArray, ...]] = {}
        failures: list[Exception] = []
        for (places, _), answer in zip(made, answers, strict=True):
            try:  # all answers are taken: one left over would meet a closed connection
                results |= self._rows(places, answer())
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return [results[place] for place in range(len(tensors))]

    def _send(self, place: int, batch: NDArray[np.float32]) -> Answer:
        channel = self._connected()
        tensor = batch if self._max_batch else batch[0]
        entry = channel.module.InferInput(self._input, list(tensor.shape), "FP32")
        if self._served.shared_memory:
            self._memory = self._memory or SharedInputs()
            region = self._memory.fill(place, tensor, channel)
            entry.set_shared_memory(region.name, tensor.nbytes)
        else:
            entry.set_data_from_numpy(tensor)
        return channel.send(self._served.name, [entry])

    def _rows(self, places: list[int], result: Any) -> dict[int, tuple[NDArray, ...]]:
        arrays = [result.as_numpy(name) for name in self._outputs]
        if any(array is None for array in arrays):
            raise InvalidInput(f"'{self._served.name}' did not return all of {self._outputs}")
        if not self._max_batch:
            return {places[0]: tuple(arrays)}
        return {place: tuple(array[row] for array in arrays) for row, place in enumerate(places)}


def _number(name: str) -> tuple[int, str]:
    """Sort key of the names `output__0`, `output__1`, …; others follow."""
    digits = name.rpartition("__")[2]
    return (int(digits), name) if digits.isdigit() else (1 << 30, name)
