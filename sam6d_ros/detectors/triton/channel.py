"""HTTP and gRPC to a Triton server with one interface: send now, take the answer later."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, Protocol

from sam6d_ros.detectors.triton.errors import clients, translated
from sam6d_ros.errors import DeadlineExceeded

CONNECTIONS = 8  # concurrent requests of one client
Answer = Callable[[], Any]  # waits; returns the client library's result


class Channel(Protocol):
    """Connection to one server; used by one thread."""

    url: str
    module: Any
    client: Any

    def config(self, model: str) -> dict[str, Any]:
        """Return the configuration of a loaded model."""

    def send(self, model: str, inputs: list[Any]) -> Answer:
        """Send one request; the call of the result waits for its answer."""

    def close(self) -> None:
        """Close the connection; an open one holds the stop of the server back."""


class HttpChannel:
    """HTTP. Requests run in coroutines of the thread that made the channel."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url = url
        self.module = clients("http")
        self.client = self.module.InferenceServerClient(
            url, concurrency=CONNECTIONS, connection_timeout=timeout_s, network_timeout=timeout_s
        )
        import gevent.pool  # the HTTP client brings it

        # not its `async_infer`: a coroutine that fails there prints a traceback
        self._pool = gevent.pool.Pool(CONNECTIONS)

    def config(self, model: str) -> dict[str, Any]:
        """Return the configuration of a loaded model."""
        with translated(self.url, model):
            return dict(self.client.get_model_config(model))

    def send(self, model: str, inputs: list[Any]) -> Answer:
        """Send one request."""

        def infer() -> tuple[Any, Exception | None]:
            try:
                return self.client.infer(model, inputs), None
            except Exception as error:
                return None, error  # raised where the answer is taken

        pending = self._pool.spawn(infer)

        def answer() -> Any:
            result, error = pending.get()
            with translated(self.url, model):
                if error is not None:
                    raise error
            return result

        return answer

    def close(self) -> None:
        """Close the connections."""
        self._pool.kill()
        self.client.close()


class GrpcChannel:
    """gRPC."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url = url
        self.module = clients("grpc")
        self.client = self.module.InferenceServerClient(url)
        self._timeout_s = timeout_s

    def config(self, model: str) -> dict[str, Any]:
        """Return the configuration of a loaded model."""
        with translated(self.url, model):
            answer = self.client.get_model_config(
                model, as_json=True, client_timeout=self._timeout_s
            )
            return dict(answer["config"])

    def send(self, model: str, inputs: list[Any]) -> Answer:
        """Send one request."""
        arrived: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        with translated(self.url, model):
            self.client.async_infer(
                model,
                inputs,
                callback=lambda result, error: arrived.put((result, error)),
                client_timeout=self._timeout_s,
            )

        def answer() -> Any:
            with translated(self.url, model):
                try:
                    # the library ends every call by its own timeout; this one is for its defects
                    result, error = arrived.get(timeout=2 * self._timeout_s)
                except queue.Empty as late:
                    raise DeadlineExceeded(f"no answer from {self.url}") from late
                if error is not None:
                    raise error
                return result

        return answer

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


CHANNELS: dict[str, Callable[[str, float], Channel]] = {"http": HttpChannel, "grpc": GrpcChannel}
