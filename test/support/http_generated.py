"""Generated requests over the OpenAPI description of a service."""

from __future__ import annotations

import hypothesis
import pytest

schemathesis = pytest.importorskip("schemathesis", reason="missing: pip install -e '.[http-test]'")

from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

# A schema cannot state that a text is an image, or a name an object.
NOT_CHECKED = [positive_data_acceptance]
LEAST_S = 60.0
FEW = hypothesis.settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def _give_time(body):
    """Replace a valid timeout that no request can keep: the answer to it is 504, as documented."""
    stated = body.get("timeout_s") if isinstance(body, dict) else None
    if isinstance(stated, int | float) and not isinstance(stated, bool) and 0 < stated < LEAST_S:
        body["timeout_s"] = LEAST_S


def check_every_answer(url, accepted=lambda answer: True):
    """Try every operation of a service: its answers must be as documented, and accepted.

    Returns:
        The operations, such as "post /predict".
    """
    tried = []
    for operation in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations():
        tried.append(f"{operation.ok().method} {operation.ok().path}")

        @FEW
        @hypothesis.given(case=operation.ok().as_strategy())
        def check(case):
            _give_time(case.body)
            assert accepted(
                case.call_and_validate(excluded_checks=NOT_CHECKED, timeout=2 * LEAST_S)
            )

        check()
    return tried
