"""Generated requests over all routes of both services: never a 5xx, always as documented."""

from __future__ import annotations

import pytest
from support.http_generated import check_every_answer


@pytest.mark.parametrize("service", ["ism", "pem"])
def test_every_answer_is_one_that_is_documented(served, service):
    assert check_every_answer(served.urls[service])
    assert served.pem.get("/health").status_code == 200
