"""Pages for people: the page at ``/``, its files below ``/ui``, and the login for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI, Form
from fastapi import Request as HttpRequest
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from sam6d_ros.apps.http.auth import COOKIE
from sam6d_ros.apps.http.errors import error_response
from sam6d_ros.apps.http.routes.common import FAILURES

PAGES = Path(__file__).parents[1] / "pages"
router = APIRouter()


@router.get("/", include_in_schema=False)
async def root(http: HttpRequest) -> Response:
    """Return the page to a browser, and a message to everything else."""
    if "text/html" in http.headers.get("accept", ""):
        return FileResponse(PAGES / "index.html", headers={"Cache-Control": "no-cache"})
    return JSONResponse({"message": f"{http.app.state.title} is running"})


@router.post("/login", tags=["server"], responses={401: FAILURES[401]})
async def login(http: HttpRequest, token: Annotated[str, Form(max_length=1024)]) -> Response:
    """Take the token of a browser into a cookie that scripts cannot read."""
    keeper = http.app.state.keeper
    if keeper.needs_token and not keeper.is_token(token):
        return error_response(401, "the token is wrong", http.state.request_id)
    response = JSONResponse({"success": True})
    if keeper.needs_token:
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict")
    return response


def mount(app: FastAPI) -> None:
    """Serve the files of the pages."""
    app.mount("/ui", StaticFiles(directory=PAGES), name="ui")
