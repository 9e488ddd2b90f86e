"""A real RTSP camera, one for all tests that leave it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.rtsp import Camera, camera, require_rtsp

from sam6d_ros.runtime.streams import (
    ReadSettings,
    SourcePolicy,
    Stream,
    StreamSettings,
    open_source,
    parse_address,
    parse_networks,
)

LOOPBACK = SourcePolicy(parse_networks(["127.0.0.0/8", "::1"]))

CAMERAS = ("shared_camera", "own_camera", "locked_camera")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts an RTSP server as slow."""
    for item in items:
        if Path(__file__).parent in item.path.parents and {*item.fixturenames} & {*CAMERAS}:
            item.add_marker(pytest.mark.slow)


Opened = Callable[..., Stream]


@pytest.fixture(scope="session")
def shared_camera() -> Iterator[Camera]:
    """A camera without password; do not stall or kill it."""
    require_rtsp()
    with camera() as running:
        yield running


@pytest.fixture
def own_camera() -> Iterator[Camera]:
    """A camera of this test."""
    require_rtsp()
    with camera() as running:
        yield running


@pytest.fixture(scope="session")
def locked_camera() -> Iterator[Camera]:
    """A camera with the user ``user`` and the password ``s3cr3t``."""
    require_rtsp()
    with camera("--user", "user", "--password", "s3cr3t") as running:
        yield running


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Open streams by address; they are closed after the test."""
    with ExitStack() as stack:

        def open_stream(
            url: str,
            policy: SourcePolicy = LOOPBACK,
            settings: StreamSettings | None = None,
            reading: ReadSettings | None = None,
        ) -> Stream:
            reading = reading or ReadSettings(open_s=1.0, read_s=1.0)
            stream = Stream("test", open_source(parse_address(url), policy, reading), settings)
            stack.callback(lambda: stream.close() or pytest.fail("the thread did not end"))
            return stream

        yield open_stream


@pytest.fixture
def server() -> Iterator[Any]:
    """A model server with loopback cameras allowed, as a client of it."""
    from support.stream_server import served

    with served() as client:
        yield client
