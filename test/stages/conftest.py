"""Objects that the tests of the geometric stages share, with their views rendered once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import still_life

from sam6d_ros.config import PipelineConfig
from sam6d_ros.stages.geometric.kit import ObjectKit, kit_of
from sam6d_ros.stages.library import BuildContext


@pytest.fixture(scope="session")
def views_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("views")


@pytest.fixture(scope="session")
def context(views_cache) -> BuildContext:
    return BuildContext(PipelineConfig(backend="geometric"), views_cache)


@pytest.fixture(scope="session")
def carton(context) -> ObjectKit:
    return kit_of(still_life.carton(), context)


@pytest.fixture(scope="session")
def plain_box(context) -> ObjectKit:
    return kit_of(still_life.plain_box(), context)


@pytest.fixture(scope="session")
def bracket(context) -> ObjectKit:
    return kit_of(still_life.bracket(), context)


@pytest.fixture(scope="session")
def plate(context) -> ObjectKit:
    return kit_of(still_life.plate(), context)
