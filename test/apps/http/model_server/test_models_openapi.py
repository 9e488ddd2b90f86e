"""Generated requests over all routes of the model server: never a 5xx, always as documented."""

from __future__ import annotations

import pytest
from support.http_generated import check_every_answer

pytestmark = [
    pytest.mark.detectors,
    pytest.mark.sam6d,  # torch writes the models
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_every_answer_is_one_that_is_documented(live_models):
    tried = check_every_answer(
        live_models.url, lambda answer: answer.status_code < 500 or answer.status_code == 503
    )
    assert {"post /predict", "post /models", "delete /models/{name}"} <= set(tried)
    assert live_models.client.get("/models/tiny").status_code == 200
