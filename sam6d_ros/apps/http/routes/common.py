"""Parts that several routes share."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, File, Form, UploadFile
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError

from sam6d_ros.apps.http.inputs import Images
from sam6d_ros.apps.http.schemas.common import Failure
from sam6d_ros.errors import InvalidInput

Model = TypeVar("Model", bound=BaseModel)
PNG = "image/png"

_TEXTS = {
    400: "the body cannot be read",
    401: "the token is missing or wrong",
    403: "a path outside the allowed folders, or a request from a foreign page",
    404: "no object of that name",
    408: "no part of the body came for a while",
    413: "a body, image, mesh or list is larger than allowed",
    422: "a field is missing or unusable; the text names it, what is expected, and the remedy",
    429: "the queue is full; try again after Retry-After seconds",
    499: "the client closed the connection",
    500: "a defect of the server; the log has the request id",
    503: "loading, draining or not able to work; the text has the reason",
    504: "no result within the time",
}
FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": Failure, "description": text} for status, text in _TEXTS.items()
}


@dataclass(frozen=True)
class Upload:
    """Request whose images come as files, in a form.

    Attributes:
        images: bytes of the files.
        fields: all other fields of the body, as JSON.
    """

    images: Images
    fields: str


async def _upload(
    rgb_image: Annotated[UploadFile, File()],
    depth_image: Annotated[UploadFile, File()],
    request: Annotated[str, Form(description="the other fields of the body, as JSON")],
) -> Upload:
    return Upload(Images(await rgb_image.read(), await depth_image.read()), request)


Uploaded = Annotated[Upload, Depends(_upload)]


def parsed(model: type[Model], text: str) -> Model:
    """Return the fields of a multipart request; its images come as files.

    Raises:
        InvalidInput: it is no JSON object.
        RequestValidationError: a field is unusable.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"request is no JSON ({error}); expected the fields as JSON") from error
    if not isinstance(values, dict):
        raise InvalidInput(f"request is a JSON {type(values).__name__}; expected an object")
    try:
        return model.model_validate({**values, "rgb_image": "", "depth_image": ""})
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def png_text(png: bytes | None) -> str | None:
    """Return a picture as base64 text."""
    return None if png is None else base64.b64encode(png).decode("ascii")


def png_or_json(http: HttpRequest, answer: BaseModel, png: bytes | None) -> Response:
    """Return the picture alone if the client accepts PNG and nothing else; else the JSON answer.

    The answer was checked when it was made: the framework need not do so again.
    """
    if png is not None and http.headers.get("accept", "").strip() == PNG:
        return Response(png, media_type=PNG)
    return Response(answer.model_dump_json(), media_type=JSONResponse.media_type)
