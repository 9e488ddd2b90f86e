"""Metrics for Prometheus: waiting times, requests in progress, and labels of fixed lists."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sam6d_ros.apps.http.metrics import METHODS, Metrics
from sam6d_ros.runtime.request import Request

PIPELINE = "/api/v1/full_pipeline"


def samples(text):
    """Value of each sample by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(server):
    return samples(server.pem.get("/metrics").raise_for_status().text)


def value(found, name, **labels):
    return found.get((name, frozenset(labels.items())), 0.0)


@pytest.fixture
def held(served, sample):
    """Event that frees the compute thread of the server, which is held until then."""
    served.pem.post(PIPELINE, json=sample).raise_for_status()  # prepares the object
    entered, freed = threading.Event(), threading.Event()
    served.services.host.submit(
        Request(lambda engine, ctx: (entered.set(), freed.wait(60)), is_frame=False)
    )
    assert entered.wait(30)
    yield freed
    freed.set()


def test_the_wait_for_the_engine_is_a_stage(served, sample, held):
    before = scraped(served)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(served.pem.post, PIPELINE, json=sample)
        served.until(lambda: served.services.host.counts.waiting == 1, "the request")
        during = scraped(served)
        assert value(during, "sam6d_queue_length") == 1
        assert value(during, "sam6d_requests_in_progress") == 2, "the request and this one"
        start = time.monotonic()
        late = served.pem.post(PIPELINE, json={**sample, "timeout_s": 0.2})
        late_s = time.monotonic() - start
        assert late.status_code == 504
        held.set()
        assert job.result(60).status_code == 200
    after = scraped(served)
    count, seconds = "sam6d_stage_seconds_count", "sam6d_stage_seconds_sum"
    assert value(after, count, stage="queue") == value(before, count, stage="queue") + 2
    waited = value(after, seconds, stage="queue") - value(before, seconds, stage="queue")
    assert waited >= late_s, "the first request waited while the second one came and went"
    assert value(after, "sam6d_requests_in_progress") == 1


def test_no_label_takes_a_value_of_a_client(served, sample):
    def ask(number):
        served.pem.request(f"BREW{number}", "/api/v1/status")
        served.pem.get(f"/api/v1/nowhere/{number}")
        served.pem.get(f"/api/v1/objects/object-{number}")
        served.pem.get(f"/api/v1/track/session-{number}")
        served.pem.delete(f"/api/v1/track/session-{number}")
        served.pem.get(f"/api/v1/requests/id-{number}", headers={"X-Request-ID": f"id-{number}"})
        served.pem.get(f"/ui/file-{number}.js")
        served.pem.get(f"/metrics?number={number}")

    ask(0)
    before = set(scraped(served))
    for number in range(1, 4):
        ask(number)
    assert set(scraped(served)) == before


def test_an_unknown_method_is_counted_as_other():
    metrics = Metrics()
    for method in ("GET", *(f"BREW{number}" for number in range(100))):
        metrics.report(method, "/health", 405, 0.1)
    methods = {
        labels["method"]
        for name, items in samples(metrics.text().decode())
        if "method" in (labels := dict(items))
    }
    assert methods == {"GET", "other"}
    assert "other" not in METHODS
