"""Model server in a thread of the test process, with two small models; synthetic images."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from support.http_server import running
from support.tiny_detector import CELL, write_onnx, write_torchscript

from sam6d_ros.apps.http.factory import create_app
from sam6d_ros.apps.http.model_server.services import ModelServices
from sam6d_ros.apps.http.model_server.settings import ModelServerSettings
from sam6d_ros.apps.http.settings import MODELS

PATIENCE_S = 60.0


@dataclass
class ModelServer:
    """Running model server: its state, its address, and a client."""

    services: ModelServices
    url: str
    client: httpx.Client

    def new_client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=PATIENCE_S)


def write_models(folder: Path) -> Path:
    """Write `tiny` (ONNX) and `script` (TorchScript); see detectors.tiny."""
    for name, write in (("tiny", write_onnx), ("script", write_torchscript)):
        (folder / name).mkdir()
        write(folder / name)
    return folder


@contextmanager
def serving_models(root: Path, **changes: Any) -> Iterator[ModelServer]:
    """Serve while the block runs; clients may name models below `root`."""
    services = ModelServices(ModelServerSettings(roots=(root,), **changes))
    with ExitStack() as stack:
        url = stack.enter_context(running(create_app(services, MODELS)))
        client = stack.enter_context(httpx.Client(base_url=url, timeout=PATIENCE_S))
        until(lambda: "loading" not in client.get("/health").json()["models"].values())
        yield ModelServer(services, url, client)


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; the time limit of the test ends the wait."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.02)


def picture(row: int = 1, value: int = 255) -> np.ndarray:
    """Return an image of 4 × 6 cells, one of them bright."""
    image = np.zeros((4 * CELL, 6 * CELL, 3), np.uint8)
    image[row * CELL : (row + 1) * CELL, CELL : 2 * CELL] = value
    return image


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def text(image: np.ndarray) -> str:
    return base64.b64encode(png(image)).decode()
