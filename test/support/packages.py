"""Debian packages that tests need: a missing one is a skip by name, and a failure in CI."""

from __future__ import annotations

import os

import pytest


def skip_without(found: object, packages: str) -> None:
    """Skip the test if a Debian package is missing; fail instead where ``SAM6D_TEST_ALL`` is set.

    Args:
        found: true if the package is there.
        packages: its name, as ``apt install`` takes it.
    """
    if found:
        return
    reason = f"missing: sudo apt install {packages}"
    if os.environ.get("SAM6D_TEST_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)
