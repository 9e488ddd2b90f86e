"""Errors of Triton clients -> errors of this project, with the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sam6d_ros.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    InvalidInput,
    NotReady,
    Sam6dError,
    install_extra,
)

NOT_LOADED = ("unknown model", "not found", "no available versions", "is not ready")
DEAD_PROCESS = ("is not healthy", "Stub process")
NO_SERVER = ("failed to connect", "Connection refused", "Socket closed", "Connection reset")


def clients(protocol: str) -> Any:
    """Return the client module of a protocol.

    Raises:
        InvalidInput: an unknown protocol.
        BackendUnavailable: the client is not installed.
    """
    try:
        if protocol == "http":
            import tritonclient.http as module
        elif protocol == "grpc":
            import tritonclient.grpc as module
        else:
            raise InvalidInput(f"protocol is '{protocol}'; expected http or grpc")
    except ImportError as error:
        raise BackendUnavailable(
            f"clients of Triton need tritonclient ({error}); {install_extra('detectors')}"
        ) from error
    return module


@contextmanager
def translated(url: str, model: str = "") -> Iterator[None]:
    """Turn errors of the client library inside the block into errors of this project.

    Raises:
        BackendUnavailable: no server answers.
        NotReady: the model is not loaded, or its process died.
        DeadlineExceeded: no answer in time.
        InvalidInput: the server refuses the request.
    """
    try:
        yield
    except Sam6dError:
        raise
    except TimeoutError as error:
        raise _timed_out(url) from error
    except OSError as error:
        raise _no_server(url, str(error)) from error
    except Exception as error:
        if type(error).__module__.startswith("geventhttpclient"):  # the connection broke off
            raise _no_server(url, str(error)) from error
        status = getattr(error, "status", None)
        if status is None:
            raise
        raise _from_answer(str(status()), str(error), url, model) from error


def _from_answer(status: str, text: str, url: str, model: str) -> Sam6dError:
    if any(part in text for part in DEAD_PROCESS):
        return NotReady(f"the process of model '{model}' died; sam6d triton serve loads it again")
    if any(part in text for part in NOT_LOADED):
        return NotReady(f"model '{model}' is not loaded at {url}: sam6d triton load {model}")
    if "DEADLINE_EXCEEDED" in status or "timed out" in text:
        return _timed_out(url)
    if "UNAVAILABLE" in status or any(part in text for part in NO_SERVER):
        return _no_server(url, text)
    return InvalidInput(f"the server refuses the request for '{model}': {text}")


def _no_server(url: str, text: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"no Triton server answers at {url} ({text}); start one: sam6d triton serve REPO"
    )


def _timed_out(url: str) -> DeadlineExceeded:
    return DeadlineExceeded(f"the Triton server at {url} gave no answer in time")
