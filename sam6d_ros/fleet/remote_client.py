"""Client of the HTTP services: requests with a deadline, answers as values, errors as ours."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sam6d_ros.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    InvalidConfig,
    InvalidInput,
    InvariantError,
    NotAllowed,
    NotReady,
    Overloaded,
    Sam6dError,
    TooLarge,
    UnknownName,
    install_extra,
)

CONNECT_S = 2.0
REPEATED = 500  # of a proxy whose replica died: the request changes nothing, so it is sent again
_ERRORS: dict[int, type[Sam6dError]] = {
    403: NotAllowed,
    404: UnknownName,
    413: TooLarge,
    504: DeadlineExceeded,
}


class RemoteClient:
    """Connections to the services at one URL.

    Args:
        url: such as http://HOST:8000.
        timeout_s: from a request to its answer.
        token: that the services want; empty for none.

    Raises:
        InvalidConfig: the URL is malformed.
        BackendUnavailable: httpx is not installed.
    """

    def __init__(self, url: str, timeout_s: float, token: str = "") -> None:
        try:
            import httpx
        except ModuleNotFoundError as error:
            raise BackendUnavailable(
                f"remote_url needs httpx, which is not installed; {install_extra('http')}"
            ) from error
        if not url.startswith(("http://", "https://")):
            raise InvalidConfig(f"remote_url is {url!r}; expected http://HOST:PORT")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._httpx, self._url, self._timeout_s = httpx, url.rstrip("/"), timeout_s
        self._client = httpx.Client(headers=headers)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            NotReady, Overloaded, DeadlineExceeded: there is no answer now.
            InvalidInput: the services refuse the request.
            InvariantError: the answer is none of these services, or they have a defect.
        """
        end = time.monotonic() + self._timeout_s
        response = self._sent(path, body, end)
        if response.status_code == REPEATED and not _message(response):
            response = self._sent(path, body, end)
        if response.status_code != 200:
            raise self._error(response)
        try:
            answer: dict[str, Any] = response.json()
        except ValueError as error:
            raise InvariantError(f"{self._url} gave no JSON: {error}") from error
        return answer

    def _sent(self, path: str, body: Mapping[str, Any], end: float) -> Any:
        left_s = end - time.monotonic()
        if left_s <= 0:
            raise DeadlineExceeded(f"{self._url} gave no answer within {self._timeout_s:g} s")
        timeout = self._httpx.Timeout(left_s, connect=min(CONNECT_S, left_s))
        values = {**body, "timeout_s": left_s}
        try:
            return self._client.post(self._url + path, json=values, timeout=timeout)
        except self._httpx.ConnectTimeout as error:
            raise NotReady(f"{self._url} cannot be reached within {CONNECT_S:g} s") from error
        except self._httpx.TimeoutException as error:
            text = f"{self._url} gave no answer within {self._timeout_s:g} s"
            raise DeadlineExceeded(text) from error
        except self._httpx.HTTPError as error:
            raise NotReady(f"{self._url} cannot be reached ({type(error).__name__})") from error

    def _error(self, response: Any) -> Sam6dError:
        """Return the error of the services as one of ours."""
        status = response.status_code
        text = f"{self._url}: {_message(response) or f'status {status}'}"
        if status == 429:
            return Overloaded(text, float(response.headers.get("Retry-After", "1")))
        if status in _ERRORS:
            return _ERRORS[status](text)
        if status == REPEATED:
            return InvariantError(text) if _message(response) else NotReady(text)
        return InvalidInput(text) if 400 <= status < 500 and status != 401 else NotReady(text)


def _message(response: Any) -> str:
    """Return the error text of the services; empty if the answer is of another program."""
    try:
        return str(response.json()["error_message"])
    except (ValueError, KeyError, TypeError):
        return ""
