"""Page on this machine in which the user chooses an object in an image, by a click or a box.

A window of OpenCV would need its GUI, which the headless packages lack, and a screen here; a page
can be opened from elsewhere through an SSH tunnel.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput

HOST = "127.0.0.1"
CLICK_PX = 6  # a shorter drag is a click
MAX_BYTES = 1000  # of a request
PAGE = b"""<!doctype html><meta charset="utf-8"><title>sam6d scan</title>
<style>body{margin:0;background:#222;color:#eee;font:16px sans-serif}p{margin:8px}
#f{position:relative;display:inline-block;touch-action:none}
#b{position:absolute;border:2px solid #4f4;pointer-events:none}
img{display:block;user-select:none;max-width:100vw;max-height:calc(100vh - 40px)}</style>
<p id="p">Click on the object, or draw a box around it.</p>
<div id="f"><img id="i" src="image.png" draggable="false"><div id="b" hidden></div></div>
<script>
let start = null; const [i, b, f] = ["i", "b", "f"].map(name => document.getElementById(name));
const scale = () => i.naturalWidth / i.getBoundingClientRect().width;
const at = e => { const r = i.getBoundingClientRect(), s = scale();
  const within = (v, size) => Math.round(Math.min(Math.max(v * s, 0), size));
  return [within(e.clientX - r.left, i.naturalWidth),
    within(e.clientY - r.top, i.naturalHeight)]; };
f.onpointerdown = e => { start = at(e); f.setPointerCapture(e.pointerId); e.preventDefault(); };
f.onpointermove = e => { if (!start) return; const [x, y] = at(e), [u, v] = start, s = scale();
  const sides = [Math.min(x, u), Math.min(y, v), Math.abs(x - u), Math.abs(y - v)];
  ["left", "top", "width", "height"].forEach((n, k) => b.style[n] = sides[k] / s + "px");
  b.hidden = false; };
f.onpointercancel = () => { start = null; b.hidden = true; };
f.onpointerup = async e => { if (!start) return;
  const body = JSON.stringify([...start, ...at(e)]); start = null;
  const answer = await fetch("pick", {method: "POST", body});
  document.getElementById("p").textContent = await answer.text(); };
</script>"""


class Pick(NamedTuple):
    """Pixel (u, v) or box (left, top, right, bottom) of the user; the other is None."""

    at: tuple[int, int] | None
    box: tuple[int, int, int, int] | None


def pick(rgb: NDArray[np.uint8], announce: Callable[[str], object]) -> Pick:
    """Serve the page until the user has chosen.

    Args:
        rgb: (H, W, 3) image.
        announce: called with the address of the page.

    Returns:
        The choice.
    """
    image = cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))[1].tobytes()
    chosen: list[Pick] = []
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files = {"/": (PAGE, "text/html"), "/image.png": (image, "image/png")}
            content, kind = files.get(self.path, (b"not found", "text/plain"))
            self.answer(200 if self.path in files else 404, content, kind)

        def do_POST(self) -> None:
            try:
                size = min(int(self.headers.get("Content-Length", 0)), MAX_BYTES)
                chosen.append(pick_of(json.loads(self.rfile.read(size)), rgb.shape[:2]))
            except (ValueError, InvalidInput) as error:
                return self.answer(400, f"{error}".encode(), "text/plain")
            self.answer(200, b"The scan goes on in the terminal.", "text/plain")
            done.set()

        def answer(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print no line per request."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            announce(f"http://{HOST}:{server.server_address[1]}/")
            done.wait()
        finally:
            server.shutdown()
    return chosen[0]


def pick_of(values: object, shape: tuple[int, int]) -> Pick:
    """Return the choice of a drag.

    Args:
        values: [u, v, u, v] of its start and its end, pixels.
        shape: (height, width) of the image.

    Raises:
        InvalidInput: it is no drag in the image.
    """
    is_drag = isinstance(values, list) and len(values) == 4
    if not is_drag or not all(isinstance(value, int) for value in values):  # type: ignore[attr-defined]
        raise InvalidInput(f"the choice is {str(values)[:60]}; expected two pixels: [u, v, u, v]")
    (u, v), (right, bottom) = np.sort(np.array(values).reshape(2, 2), axis=0).tolist()
    height, width = shape
    if not (0 <= u and right <= width and 0 <= v and bottom <= height):
        raise InvalidInput(f"the choice is {values}; expected pixels inside {width} x {height}")
    if max(right - u, bottom - v) < CLICK_PX:
        return Pick((min(u, width - 1), min(v, height - 1)), None)
    return Pick(None, (u, v, right, bottom))
