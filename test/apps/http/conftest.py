"""Real servers in threads of the test process, and the sample request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

for _module, _extra in (("fastapi", "http"), ("httpx", "http")):
    pytest.importorskip(_module, reason=f"missing: pip install -e '.[{_extra}]'")

from support.http_server import Served, serving, settings_for  # noqa: E402
from support.model_server import ModelServer, serving_models, write_models  # noqa: E402

from sam6d_ros.runtime.model_server.spec import ModelSpec  # noqa: E402
from sam6d_ros.runtime.streams import parse_networks  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.http)


@pytest.fixture(scope="session")
def http_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache folder of all servers of one run."""
    return tmp_path_factory.mktemp("http_cache")


@pytest.fixture(scope="session")
def served(http_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Both services on one engine with the geometric backend; clients may use `served.root`."""
    root = tmp_path_factory.mktemp("root")
    with serving(settings_for(http_cache, roots=(root,)), root) as server:
        yield server


@pytest.fixture(scope="session")
def model_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of two small models."""
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def live_models(model_root: Path) -> Iterator[ModelServer]:
    """Model server with one model from its start, named `tiny`."""
    spec = ModelSpec("tiny", str(model_root / "tiny"), 0.9, capacity=64)
    networks = parse_networks(["127.0.0.0/8"])
    changes = {"models": (spec,), "default_model": "tiny", "networks": networks}
    with serving_models(model_root, **changes) as server:
        yield server


@pytest.fixture(scope="session")
def sample(served: Served) -> dict[str, Any]:
    """The sample request; do not change it."""
    body: dict[str, Any] = served.pem.get("/test/sample").raise_for_status().json()
    return body


@pytest.fixture(scope="module")
def browsing() -> Iterator[Any]:
    """One browser for the module: its loop would disturb other tests of the session."""
    from support.http_browser import chromium

    with chromium() as browsing:
        yield browsing
