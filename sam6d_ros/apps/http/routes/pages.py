"""Pages for people, their files below ``/ui``, and the login for a browser."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Form
from fastapi import Request as HttpRequest
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from sam6d_ros.apps.http.auth import COOKIE
from sam6d_ros.apps.http.errors import error_response
from sam6d_ros.apps.http.gate import wants_page
from sam6d_ros.apps.http.routes.common import FAILURES
from sam6d_ros.apps.http.settings import FLEET, ISM, MODELS, PEM

PAGES = Path(__file__).parents[1] / "pages"
POSES = {"/": "index.html"}
# File of each address; other clients get JSON at the same address, or 404.
FILES = {
    ISM: POSES,
    PEM: POSES,
    FLEET: POSES,
    MODELS: {
        "/": "predict.html",
        "/models": "models.html",
        "/video": "video.html",
        "/video-config": "video_config.html",
    },
}
API_PAGES = {"/docs": "docs.html", "/redoc": "redoc.html"}
# Scripts come from files of the package only; the import map cannot be a file, hence its hash.
POLICY = (
    "default-src 'self'; script-src 'self'{hashes}; style-src 'self'{styles}; "
    "img-src 'self' data: blob:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_INLINE = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


class PageRoute(APIRoute):
    """Route for requests that accept HTML; others go to the next route of the same address."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return no match for clients other than browsers."""
        if scope["type"] == "http" and not wants_page(Headers(scope=scope)):
            return Match.NONE, {}
        return super().matches(scope)


def router_of(service: str) -> APIRouter:
    """Return the routes of the pages of a service; they go before the others."""
    router = APIRouter()
    shown = APIRouter(route_class=PageRoute)
    for address, name in FILES[service].items():
        shown.add_api_route(address, _shower(PAGES / name), include_in_schema=False)
    for address, name in API_PAGES.items():
        router.add_api_route(address, _shower(PAGES / name), include_in_schema=False)
    router.include_router(shown)
    router.add_api_route("/", root, include_in_schema=False)
    failures: dict[int | str, dict[str, Any]] = {401: FAILURES[401]}
    router.add_api_route("/login", login, methods=["POST"], tags=["server"], responses=failures)
    return router


def _shower(path: Path) -> Callable[[], Coroutine[Any, Any, Response]]:
    async def show() -> Response:
        return FileResponse(path, headers={"Vary": "Accept", **page_headers(path)})

    return show


async def root(http: HttpRequest) -> Response:
    """Return a message; browsers get the page."""
    message = {"message": f"{http.app.state.title} is running"}
    return JSONResponse(message, headers={"Vary": "Accept"})


async def login(http: HttpRequest, token: Annotated[str, Form(max_length=1024)]) -> Response:
    """Exchange the token for a cookie that scripts cannot read and that is not the token."""
    keeper = http.app.state.keeper
    if keeper.needs_token and not keeper.is_token(token):
        return error_response(401, "the token is wrong", http.state.request_id)
    response = JSONResponse({"success": True})
    if keeper.needs_token:
        response.set_cookie(COOKIE, keeper.new_pass(), httponly=True, samesite="strict")
    return response


class PageFiles(StaticFiles):
    """Files of the pages, with the same headers as the pages themselves."""

    def file_response(self, full_path: Any, *args: Any, **kwargs: Any) -> Response:
        """Return a file that the browser checks for changes before each use."""
        response = super().file_response(full_path, *args, **kwargs)
        response.headers.update(page_headers(Path(full_path)))
        return response


def page_headers(path: Path) -> dict[str, str]:
    """Return the headers of a page or of one of its files."""
    inline = _INLINE.findall(path.read_bytes()) if path.suffix == ".html" else []
    # Swagger UI and Redoc make their styles while they run.
    styles = " 'unsafe-inline'" if path.name in API_PAGES.values() else ""
    hashes = "".join(f" 'sha256-{_sha256(text)}'" for text in inline)
    return {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY.format(hashes=hashes, styles=styles),
        "Referrer-Policy": "no-referrer",
    }


def _sha256(text: bytes) -> str:
    return base64.b64encode(hashlib.sha256(text).digest()).decode("ascii")


def mount(app: FastAPI) -> None:
    """Serve the files of the pages."""
    app.mount("/ui", PageFiles(directory=PAGES), name="ui")
