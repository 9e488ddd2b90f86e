"""The groups of ``suite_order`` reach pytest-xdist, which keeps each in one worker."""

from __future__ import annotations

import pytest


def test_a_test_names_its_group_to_the_scheduler(request):
    if "workerinput" not in vars(request.config) or not request.config.getvalue("loadgroup"):
        pytest.skip("one process runs all tests")
    assert request.node.nodeid.endswith("@test_suite_order")
