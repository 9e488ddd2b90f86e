"""Objects that the tests of the geometric stages share, with their views rendered once."""

from __future__ import annotations

from pathlib import Path

import pytest
from stages import still_life

from sam6d_ros.stages.geometric.library import ObjectKit, ObjectLibrary


@pytest.fixture(scope="session")
def views_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("views")


@pytest.fixture(scope="session")
def library(views_cache) -> ObjectLibrary:
    return ObjectLibrary(views_cache)


@pytest.fixture(scope="session")
def carton(library) -> ObjectKit:
    return library.kit(still_life.carton())


@pytest.fixture(scope="session")
def plain_box(library) -> ObjectKit:
    return library.kit(still_life.plain_box())


@pytest.fixture(scope="session")
def bracket(library) -> ObjectKit:
    return library.kit(still_life.bracket())


@pytest.fixture(scope="session")
def plate(library) -> ObjectKit:
    return library.kit(still_life.plate())
