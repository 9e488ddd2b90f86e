"""Images of a request: JSON with base64, multipart files, or the bytes of one image."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from sam6d_ros.apps.http.schemas.predict import BatchRequest, PredictRequest
from sam6d_ros.errors import InvalidInput

JSON, FORM, IMAGE = "application/json", "multipart/form-data", "image/"
MAX_FILES, MAX_FIELDS = 256, 16  # of one form, before they are counted against the settings
Fields = TypeVar("Fields", bound=BaseModel)


def body_schema(json: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI description of a body that ``single_image`` or ``batch_images`` takes."""
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    many = json is BatchRequest
    name, file = ("images", files) if many else ("image", files["items"])
    form = {"type": "object", "properties": {name: file}, "required": [name]}
    content = {
        JSON: {"schema": json.model_json_schema()},
        FORM: {"schema": form},
    }
    return {"requestBody": {"required": True, "content": content}}


async def single_image(http: HttpRequest) -> str | bytes:
    """Return the image of a request: base64 text or bytes.

    Raises:
        InvalidInput: there is none, or several.
        RequestValidationError: a JSON body without it.
    """
    kind = _kind(http)
    if kind.startswith(IMAGE):
        return await http.body()
    if kind == JSON:
        return _fields(PredictRequest, await http.body()).image
    files = await _files(http)
    if len(files) != 1:
        raise InvalidInput(
            f"the form has {len(files)} files; expected one in the field 'image' "
            "(several: /predict/batch)"
        )
    return files[0]


async def batch_images(http: HttpRequest) -> list[str] | list[bytes]:
    """Return the images of a request: base64 texts, or bytes.

    Raises:
        InvalidInput: there is none.
        RequestValidationError: a JSON body without them.
    """
    if _kind(http) == JSON:
        return _fields(BatchRequest, await http.body()).images
    files = await _files(http)
    if not files:
        raise InvalidInput("the form has no file; expected images in the field 'images'")
    return files


def _kind(http: HttpRequest) -> str:
    """Return the content type.

    Raises:
        InvalidInput: it is none of the three.
    """
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (JSON, FORM) and not kind.startswith(IMAGE):
        raise InvalidInput(
            f"the content type is {kind!r:.100}; expected {FORM} with the image as a file, {JSON} "
            "with its base64 text, or the image itself"
        )
    return kind


async def _files(http: HttpRequest) -> list[bytes]:
    async with http.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as form:
        return [await part.read() for _, part in form.multi_items() if isinstance(part, UploadFile)]


def _fields(model: type[Fields], body: bytes) -> Fields:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
