"""Generated requests over all routes of the model server: never a 5xx, always as documented."""

from __future__ import annotations

import hypothesis
import pytest

schemathesis = pytest.importorskip(
    "schemathesis", reason="missing: pip install 'sam6d_ros[http-test]'"
)

from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

pytestmark = [
    pytest.mark.detectors,
    pytest.mark.sam6d,  # torch writes the models
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
# A schema cannot say that a text is an image, or a path a model.
NOT_CHECKED = [positive_data_acceptance]
few = hypothesis.settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def test_every_answer_is_one_that_is_documented(live_models):
    api = schemathesis.openapi.from_url(f"{live_models.url}/openapi.json")
    tried = []
    for operation in api.get_all_operations():
        tried.append(f"{operation.ok().method} {operation.ok().path}")

        @few
        @hypothesis.given(case=operation.ok().as_strategy())
        def check(case):
            answer = case.call_and_validate(excluded_checks=NOT_CHECKED)
            assert answer.status_code < 500 or answer.status_code == 503

        check()
    assert {"post /predict", "post /models", "delete /models/{name}"} <= set(tried)
    assert live_models.client.get("/models/tiny").status_code == 200
