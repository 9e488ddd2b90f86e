"""Marks of the tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest

DRAWING = ("test_labels_agree", "test_the_nearest_instance", "test_baked_light")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that draw scenes as slow."""
    for item in items:
        is_ours = Path(__file__).parent in item.path.parents
        draws = "scenes" in getattr(item, "fixturenames", ()) or item.name.startswith(DRAWING)
        if is_ours and draws:
            item.add_marker(pytest.mark.slow)
