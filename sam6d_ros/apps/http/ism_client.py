"""Client of an ISM service elsewhere, for the full pipeline."""

from __future__ import annotations

import base64
from typing import Any

import httpx
from pydantic import ValidationError

from sam6d_ros.apps.http.inputs import Images
from sam6d_ros.apps.http.schemas.common import FrameBody
from sam6d_ros.apps.http.schemas.ism import InferenceAnswer
from sam6d_ros.errors import (
    DeadlineExceeded,
    InvalidInput,
    InvariantError,
    NotAllowed,
    NotReady,
    Overloaded,
    TooLarge,
    UnknownName,
)

PATH = "/api/v1/inference"
CONNECT_S = 5.0
_ERRORS = {403: NotAllowed, 404: UnknownName, 413: TooLarge, 504: DeadlineExceeded}


async def infer(
    url: str, token: str, body: FrameBody, images: Images, timeout_s: float
) -> InferenceAnswer:
    """Return the answer of the ISM service at a URL.

    Args:
        timeout_s: seconds until its answer.
        url: of the service.
        token: of the service; "" for none.
        body: the request.
        images: files of the frame.

    Raises:
        NotReady: it cannot be reached or is not ready.
        DeadlineExceeded: it did not answer in time.
        InvalidInput and its kinds: it refused the request.
        InvariantError: its answer is no answer of an ISM service.
    """
    values = body.model_dump(mode="json", exclude={"rgb_image", "depth_image", "output_dir"})
    values |= {"rgb_image": _text(images.rgb), "depth_image": _text(images.depth)}
    values |= {"mask_format": "rle", "timeout_s": timeout_s}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = httpx.Timeout(timeout_s, connect=CONNECT_S)
    try:
        async with httpx.AsyncClient(timeout=timeout) as client:
            response = await client.post(url.rstrip("/") + PATH, json=values, headers=headers)
    except httpx.TimeoutException as error:
        raise DeadlineExceeded(f"the ISM service gave no answer within {timeout_s:g} s") from error
    except httpx.HTTPError as error:
        raise NotReady(f"the ISM service cannot be reached ({type(error).__name__})") from error
    if response.status_code != 200:
        raise _error(response)
    try:
        return InferenceAnswer.model_validate_json(response.content)
    except ValidationError as error:
        raise InvariantError(f"the ISM service gave another answer: {error}") from error


def _text(image: str | bytes) -> str:
    return image if isinstance(image, str) else base64.b64encode(image).decode("ascii")


def _error(response: httpx.Response) -> Exception:
    """Return the error of the service as one of ours."""
    text = f"the ISM service: {_message(response)}"
    status = response.status_code
    if status == 429:
        return Overloaded(text, float(response.headers.get("Retry-After", "1")))
    if status in _ERRORS:
        return _ERRORS[status](text)
    return InvalidInput(text) if 400 <= status < 500 and status != 401 else NotReady(text)


def _message(response: httpx.Response) -> str:
    try:
        values: Any = response.json()
        return str(values["error_message"])
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}"
