"""A real RTSP camera for tests: a process of its own, which can be stalled, killed, restarted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.packages import skip_without

SCRIPT = Path(__file__).with_name("rtsp_camera.py")
SYSTEM_PYTHON = "/usr/bin/python3"  # python3-gi is not visible in a virtual environment
PROBE = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); "
    "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
    "raise SystemExit(None in map(Gst.ElementFactory.find, ['x264enc', 'rtph264pay', 'appsrc']))"
)
PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly python3-gi"
)
BITS, PERIOD_MS = 24, 1 << 24


def require_rtsp() -> None:
    """Skip by name where the RTSP server cannot run; see `packages.skip_without`."""
    pytest.importorskip("av", reason="missing: pip install -e '.[streams]'")
    found = (
        shutil.which(SYSTEM_PYTHON)
        and not subprocess.run(
            [SYSTEM_PYTHON, "-c", PROBE], stderr=subprocess.DEVNULL, check=False
        ).returncode
    )
    skip_without(found, PACKAGES)


def age_s(image_rgb: np.ndarray) -> float:
    """Return seconds since the camera made a picture, read from its strip of blocks."""
    block = image_rgb.shape[1] // BITS
    centres = block // 2 + block * np.arange(BITS)
    bits = image_rgb[block // 2, centres].mean(axis=1) > 127
    made_ms = int("".join("01"[int(bit)] for bit in bits), 2)
    return ((int(time.monotonic() * 1000) - made_ms) % PERIOD_MS) / 1000


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    """Wait until a condition holds; fail with what was waited for."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited {timeout_s} s for {what}"
        time.sleep(0.01)


class Camera:
    """Process of the camera; the port stays over restarts.

    Args:
        options: of ``rtsp_camera.py``.
    """

    def __init__(self, *options: str) -> None:
        self._options, self.port, self.clients = options, 0, 0
        self.start()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def url_for(self, credentials: str, path: str = "cam") -> str:
        return f"rtsp://{credentials}@127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        """Start the process, or start it again on the same port."""
        served = threading.Event()
        command = [SYSTEM_PYTHON, str(SCRIPT), "--port", str(self.port), *self._options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=self._read, args=(self.process, served))
        self._reader.start()
        assert served.wait(20), f"{' '.join(command)} does not serve"

    def _read(self, process: subprocess.Popen[str], served: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("port"):
                self.port = int(line.split()[1])
                served.set()
            self.clients += line.startswith("client")

    def stall(self) -> None:
        """Stop sending, with the connections open."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End at once."""
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def camera(*options: str) -> Iterator[Camera]:
    """Run a camera while the block runs."""
    running = Camera(*options)
    try:
        yield running
    finally:
        running.kill()
