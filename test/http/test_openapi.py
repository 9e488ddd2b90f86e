"""Generated requests over all routes of both services: never a 5xx, always as documented."""

from __future__ import annotations

import hypothesis
import pytest

schemathesis = pytest.importorskip(
    "schemathesis", reason="missing: pip install 'sam6d_ros[http-test]'"
)

from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

# A schema cannot say that a text is an image, or a name an object.
NOT_CHECKED = [positive_data_acceptance]
few = hypothesis.settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.mark.parametrize("service", ["ism", "pem"])
def test_every_answer_is_one_that_is_documented(served, service):
    api = schemathesis.openapi.from_url(f"{served.urls[service]}/openapi.json")
    for operation in api.get_all_operations():

        @few
        @hypothesis.given(case=operation.ok().as_strategy())
        def check(case):
            case.call_and_validate(excluded_checks=NOT_CHECKED)

        check()
    assert served.pem.get("/health").status_code == 200
