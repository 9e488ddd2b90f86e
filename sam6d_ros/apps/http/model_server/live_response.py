"""Answers without end: pictures of a live output for one viewer, who may be slow or gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sam6d_ros.runtime.streams import Live, LivePicture

log = logging.getLogger(__name__)

# A viewer that takes nothing for this time is dropped; uvicorn itself would wait for ever.
SEND_S = 5.0
SILENCE_S = 5.0  # without a picture, after which a sign of life is sent


class LiveResponse(Response):
    """One answer of a live output, until the viewer leaves or the output ends.

    Args:
        live: that is watched.
        part: returns the bytes of one picture.
        silence: returns the bytes that are sent when no picture came for a while; may be empty.
        media_type: of the answer.
    """

    def __init__(
        self,
        live: Live,
        part: Callable[[LivePicture], bytes],
        silence: Callable[[], bytes],
        media_type: str,
    ) -> None:
        super().__init__(None, media_type=media_type)
        del self.headers["content-length"]
        self.headers["Cache-Control"] = "no-store"
        self.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        self.headers["X-Accel-Buffering"] = "no"  # nginx passes the parts on at once
        self._live, self._part, self._silence = live, part, silence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pictures.

        Raises:
            Overloaded: there are too many viewers.
        """
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        with self._live.subscribe(lambda: loop.call_soon_threadsafe(changed.set)) as viewer:
            gone = asyncio.ensure_future(_gone(receive))
            gone.add_done_callback(lambda _: changed.set())
            try:
                await self._start(send)
                while not (gone.done() or viewer.ended):
                    changed.clear()
                    if (picture := viewer.poll()) is not None:
                        await _sent(send, self._part(picture))
                    elif not await _within(changed, SILENCE_S) and (text := self._silence()):
                        await _sent(send, text)
                await _sent(send, b"", more=False)
            except asyncio.TimeoutError:
                log.info("dropped a viewer that took nothing for %.0f s", SEND_S)
            finally:
                gone.cancel()

    async def _start(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )


async def _sent(send: Send, body: bytes, more: bool = True) -> None:
    """Send a part.

    Raises:
        asyncio.TimeoutError: the viewer takes nothing.
    """
    message = {"type": "http.response.body", "body": body, "more_body": more}
    await asyncio.wait_for(send(message), SEND_S)


async def _within(changed: asyncio.Event, timeout_s: float) -> bool:
    """Wait for an event; return whether it came in time."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(changed.wait(), timeout_s)
    return changed.is_set()


async def _gone(receive: Receive) -> None:
    """Wait until the client closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
