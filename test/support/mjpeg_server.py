"""HTTP servers of a camera's kind in a thread: MJPEG, redirects, playlists."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

BOUNDARY = "frame"
BASIC = "Basic " + base64.b64encode(b"user:p@ss/w").decode()


class Handler(BaseHTTPRequestHandler):
    """`/video` is MJPEG of 100 pictures a second, `/moved` leads to it, `/list` is a playlist.

    `/locked` wants the user ``user`` and the password ``p@ss/w``.
    """

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Host")))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/video")
            self.end_headers()
        elif self.path == "/list":
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.apple.mpegurl")
            self.end_headers()
            self.wfile.write(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/video\n")
        elif self.path == "/locked" and self.headers.get("Authorization") != BASIC:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
        else:
            self._video()

    def _video(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.end_headers()
        gone = threading.Event()
        for number in range(10_000):
            picture = np.full((48, 64, 3), number % 256, np.uint8)
            jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
            head = (
                f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            )
            try:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                return
            gone.wait(0.01)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Server that notes path and Host header of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def http_camera() -> Iterator[Server]:
    """Serve while the block runs."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
