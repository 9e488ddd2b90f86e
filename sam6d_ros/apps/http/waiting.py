"""Wait of a route for a result of another thread, as long as its client is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from fastapi import Request as HttpRequest

from sam6d_ros.errors import Cancelled

T = TypeVar("T")


async def result_for(http: HttpRequest, future: Future[T], cancel: Callable[[], object]) -> T:
    """Return the result of a future; give it up if the client closes the connection.

    Args:
        http: the request that it is for; its body has been read.
        future: the result.
        cancel: called if the client leaves; ends the work, which completes the future.

    Raises:
        Cancelled: the client left.
        CancelledError: the server ends.
        Exception: the error of the future.
    """
    result: asyncio.Future[T] = asyncio.wrap_future(future)
    gone: asyncio.Future[Any] = asyncio.ensure_future(_gone(http))
    both: set[asyncio.Future[Any]] = {result, gone}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            return result.result()
        cancel()
        await asyncio.wait({result})
        _noted(result)
        raise Cancelled("the client closed the connection")
    except asyncio.CancelledError:  # the server ends: the result is not needed
        if not result.done():
            cancel()
            result.add_done_callback(_noted)
        raise
    finally:
        gone.cancel()


def _noted(result: asyncio.Future[Any]) -> None:
    """Retrieve an unused error, which asyncio would log otherwise."""
    if not result.cancelled():
        result.exception()


async def _gone(http: HttpRequest) -> None:
    """Wait until the client closes the connection."""
    while (await http.receive())["type"] != "http.disconnect":
        pass
