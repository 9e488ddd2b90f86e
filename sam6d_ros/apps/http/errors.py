"""Error → answer: status by ``runtime/error_table``, a request id, never a traceback."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sam6d_ros.errors import Overloaded, Sam6dError
from sam6d_ros.runtime.error_table import Kind, handling_of

log = logging.getLogger(__name__)

MAX_PROBLEMS = 5  # of one body that are named
DEFECT_TEXT = "internal error; the log of the server has it under the request id"


def error_body(message: str, request_id: str) -> dict[str, Any]:
    """Return the body of every error answer."""
    return {"success": False, "error_message": message, "request_id": request_id}


def error_response(
    status: int, message: str, request_id: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return an error answer."""
    return JSONResponse(error_body(message, request_id), status, headers)


def response_to(error: BaseException, request_id: str) -> JSONResponse:
    """Return the answer to an error, by the table; a defect is logged under the request id."""
    handling = handling_of(error)
    if handling.kind is Kind.DEFECT:
        log.error("request %s failed", request_id, exc_info=error)
    text = DEFECT_TEXT if handling.kind is Kind.DEFECT else str(error)
    headers = {}
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return error_response(handling.http_status, text, request_id, headers)


def install(app: FastAPI) -> None:
    """Answer the errors of routes; what no handler takes is a defect (``gate.Gate``)."""
    app.add_exception_handler(Sam6dError, _deliberate)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _by_framework)


def _deliberate(request: Request, error: Exception) -> JSONResponse:
    request.state.error = error
    return response_to(error, request.state.request_id)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return error_response(422, _problems(error.errors()), request.state.request_id)


def _by_framework(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return error_response(error.status_code, str(error.detail), request.state.request_id, headers)


def _problems(errors: Sequence[Any]) -> str:
    """Return what is wrong with a body: field and problem, not the values."""
    lines = []
    for item in errors[:MAX_PROBLEMS]:
        place = ".".join(str(part) for part in item.get("loc", ()) if part != "body")
        lines.append(f"{place or 'body'}: {item.get('msg', 'invalid')}"[:300])
    more = len(errors) - MAX_PROBLEMS
    return "; ".join(lines) + (f"; and {more} more" if more > 0 else "")
