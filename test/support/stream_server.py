"""Model server with streams in a thread of the test process; readers of its endless answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import cv2
import httpx
import numpy as np
from support.http_server import running

from sam6d_ros.apps.http.factory import create_app
from sam6d_ros.apps.http.model_server.services import ModelServices
from sam6d_ros.apps.http.model_server.settings import ModelServerSettings
from sam6d_ros.apps.http.serve import openers_of
from sam6d_ros.apps.http.settings import MODELS
from sam6d_ros.runtime.model_server.detector_model import DetectorModel
from sam6d_ros.runtime.model_server.spec import ModelSpec
from sam6d_ros.runtime.streams import parse_networks
from sam6d_ros.types import Boxes

CLOSED = "rtsp://user:geheim@127.0.0.1:1/cam"  # nothing listens there
SHOWN = "rtsp://***@127.0.0.1:1/cam"


class LowerHalf:
    """Detector that reports the lower half of an image, with its brightness as the score."""

    labels = ("image",)

    def detect(self, images_rgb):
        return [self._boxes(image) for image in images_rgb]

    def _boxes(self, image):
        height, width = image.shape[:2]
        score = np.array([image.mean() / 255], np.float32)
        return Boxes(np.array([[0, height / 2, width, height]], np.float32), ("image",), score)

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def served(openers=None, **changes) -> Iterator[httpx.Client]:
    """Serve one model named `half`, with loopback cameras allowed."""
    settings = ModelServerSettings(
        **{
            "networks": parse_networks(["127.0.0.0/8"]),
            "models": (ModelSpec("half", "double:half"),),
            **changes,
        }
    )
    openers = {"double": lambda spec: DetectorModel(LowerHalf()), **(openers or {})}
    openers |= openers_of(settings)
    services = ModelServices(settings, openers)
    with ExitStack() as stack:
        url = stack.enter_context(running(create_app(services, MODELS)))
        client = stack.enter_context(httpx.Client(base_url=url, timeout=30))
        client.services = services
        yield client


def add(client: httpx.Client, url: str, **more) -> dict:
    answer = client.post("/streams", json={"name": "door", "url": url, **more})
    return answer.raise_for_status().json()["stream"]


def parts(response: httpx.Response) -> Iterator[bytes]:
    """Yield the JPEG files of an MJPEG answer."""
    buffer = b""
    for chunk in response.iter_raw():
        buffer += chunk
        while (head := buffer.find(b"\r\n\r\n")) > 0:
            size = int(buffer[:head].rpartition(b":")[2])
            if len(buffer) < head + 4 + size + 2:
                break
            yield buffer[head + 4 : head + 4 + size]
            buffer = buffer[head + 4 + size + 2 :]


def events(response: httpx.Response) -> Iterator[tuple[str, dict]]:
    lines = response.iter_lines()
    for line in lines:
        if line.startswith("event: "):
            yield line[7:], json.loads(next(lines).removeprefix("data: "))


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def state(client: httpx.Client, key: str) -> dict:
    return client.get(f"/streams/{key}").raise_for_status().json()["stream"]
