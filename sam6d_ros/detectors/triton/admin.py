"""Models of a running Triton server: load, unload, state, and a probe that infers.

After the death of a model's process the server still calls the model ready, and a second `load`
changes nothing: only a small inference shows the state, and unloading before loading mends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from sam6d_ros.detectors.triton.errors import clients, translated
from sam6d_ros.errors import DeadlineExceeded, InvalidInput, NotReady, Sam6dError

LOAD_TIMEOUT_S = 300.0  # with a warm-up of a large model on a busy machine
UNLOAD_TIMEOUT_S = 30.0
POLL_S = 0.05
PROBE_SIDE = 64  # pixels, where the model takes any size


@dataclass(frozen=True)
class ModelState:
    """State of one model of the repository.

    Attributes:
        name: of the model.
        state: as the server calls it, such as READY, or empty when it was never loaded.
        problem: reason of a failed load or probe, or empty.
        seconds: duration of the probe; 0 without one.
    """

    name: str
    state: str
    problem: str = ""
    seconds: float = 0.0

    @property
    def answers(self) -> bool:
        """Whether the model answered the probe."""
        return self.state == "READY" and not self.problem


class TritonAdmin:
    """Control of the models of one server over HTTP; a context manager.

    Args:
        url: host and port of HTTP.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._module = clients("http")
        with translated(url):
            self._client = self._module.InferenceServerClient(
                url, network_timeout=LOAD_TIMEOUT_S, connection_timeout=LOAD_TIMEOUT_S
            )

    def __enter__(self) -> TritonAdmin:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; an open one holds the stop of the server back."""
        self._client.close()

    def load(self, name: str) -> None:
        """Load a model, or load it again, and probe it.

        Raises:
            InvalidInput: the repository has no such model, or it cannot be loaded.
            NotReady: it is loaded and does not answer.
            BackendUnavailable: no server answers.
        """
        try:
            with translated(self.url, name):
                self._client.load_model(name)
        except NotReady as error:  # the server answers "not found" for the folder
            raise InvalidInput(f"cannot load '{name}': {error.__cause__}") from error
        self.probe(name)

    def unload(self, name: str) -> None:
        """Unload a model and wait until it takes no more requests.

        Raises:
            InvalidInput: the repository has no such model.
            DeadlineExceeded: it was not unloaded in time.
            BackendUnavailable: no server answers.
        """
        with translated(self.url, name):
            self._client.unload_model(name)
        # not until its state is UNAVAILABLE: with a dead process it is UNLOADING for ever
        self._wait(lambda: not self._client.is_model_ready(name), f"unloading '{name}'")

    def reload(self, name: str) -> None:
        """Unload and load a model: what mends one whose process died."""
        self.unload(name)
        self.load(name)

    def names(self) -> list[str]:
        """Return the names of the models in the repository."""
        return [entry["name"] for entry in self._index()]

    def states(self, probe: bool = True) -> list[ModelState]:
        """Return the state of each model of the repository.

        Args:
            probe: whether models that count as ready are asked to infer.
        """
        found = []
        for entry in self._index():
            state = ModelState(entry["name"], entry.get("state", ""), entry.get("reason", ""))
            found.append(self._probed(state) if probe and state.state == "READY" else state)
        return found

    def probe(self, name: str) -> float:
        """Run a model on a small black image.

        Returns:
            Seconds that it took.

        Raises:
            NotReady: the model is not loaded, or its process died.
            InvalidInput: the model takes no image.
        """
        with translated(self.url, name):
            entry = self._client.get_model_config(name)
            tensor = np.zeros(_probe_shape(entry), np.float32)
            given = self._module.InferInput(entry["input"][0]["name"], list(tensor.shape), "FP32")
            given.set_data_from_numpy(tensor)
            start = time.monotonic()
            self._client.infer(name, [given])
        return time.monotonic() - start

    def _probed(self, state: ModelState) -> ModelState:
        try:
            return ModelState(state.name, state.state, "", self.probe(state.name))
        except Sam6dError as error:
            return ModelState(state.name, state.state, str(error))

    def _index(self) -> list[dict[str, Any]]:
        with translated(self.url):
            return list(self._client.get_model_repository_index())

    def _wait(self, done: Callable[[], bool], task: str) -> None:
        deadline = time.monotonic() + UNLOAD_TIMEOUT_S
        while not done():
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"{task} took more than {UNLOAD_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)


def _probe_shape(config: dict[str, Any]) -> tuple[int, ...]:
    dims = [int(length) for length in config["input"][0]["dims"]]
    fixed = tuple(length if length > 0 else PROBE_SIDE for length in dims)
    return (1, *fixed) if int(config.get("max_batch_size", 0)) else fixed
