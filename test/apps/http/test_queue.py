"""Requests share one engine: order, overload, deadlines, clients that leave, failed loads."""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
from support.http_server import Gate, serving, settings_for

from sam6d_ros.apps.http.services import CONVERTERS
from sam6d_ros.apps.http.settings import PEM, Limits
from sam6d_ros.errors import CheckpointError
from sam6d_ros.runtime.objects import ObjectChange

PIPELINE = "/api/v1/full_pipeline"


def test_three_requests_at_once_are_answered(served, sample):
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: served.pem.post(PIPELINE, json=sample), range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    poses = [answer.json()["pem_result"]["poses"][0]["translation"] for answer in answers]
    assert poses[0] == poses[1] == poses[2]


def test_requests_are_answered_in_order_of_arrival(served, sample):
    order, threads = [], []

    def post(number):
        served.pem.post(PIPELINE, json=sample).raise_for_status()
        order.append(number)

    with Gate(served.services):
        for number in range(3):
            threads.append(threading.Thread(target=post, args=(number,)))
            threads[-1].start()
            served.until(lambda n=number: served.services.host.counts.waiting == n + 1, "a request")
    for thread in threads:
        thread.join(60)
    assert order == [0, 1, 2]


@pytest.fixture
def small(http_cache):
    """A server with a queue of one and short deadlines."""
    settings = settings_for(http_cache, role=PEM, limits=Limits(queue=1, deadline_s=5.0))
    with serving(settings) as server:
        server.pem.post(PIPELINE, json=server.pem.get("/test/sample").json()).raise_for_status()
        yield server


def test_a_full_queue_refuses_with_retry_after(small, sample):
    with ThreadPoolExecutor(1) as pool, Gate(small.services):
        first = pool.submit(small.pem.post, PIPELINE, json=sample)
        small.until(lambda: small.services.host.counts.waiting == 1, "the first request")
        refused = small.pem.post(PIPELINE, json=sample)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        assert small.pem.get("/health").status_code == 200
    assert first.result(30).status_code in (200, 504)
    assert "sam6d_rejected_total 1.0" in small.pem.get("/metrics").text


def test_a_full_queue_refuses_before_images_are_decoded(small, sample):
    with ThreadPoolExecutor(1) as pool, Gate(small.services):
        first = pool.submit(small.pem.post, PIPELINE, json=sample)
        small.until(lambda: small.services.host.counts.waiting == 1, "the first request")
        refused = small.pem.post(PIPELINE, json={**sample, "rgb_image": "bm8gaW1hZ2U="})
        assert refused.status_code == 429
    assert first.result(30).status_code in (200, 504)


def test_a_deadline_ends_a_request(served, sample):
    with Gate(served.services):
        answer = served.pem.post(PIPELINE, json={**sample, "timeout_s": 0.3})
    assert answer.status_code == 504
    assert "0.3 s" in answer.json()["error_message"]
    assert served.pem.post(PIPELINE, json=sample).status_code == 200


def test_a_client_that_leaves_cancels_its_request(served, sample):
    """Its place in the queue is free at once."""
    body = httpx.Request("POST", served.urls["pem"] + PIPELINE, json=sample)
    url = httpx.URL(served.urls["pem"])
    with Gate(served.services):
        with socket.create_connection((url.host, url.port), timeout=10) as connection:
            head = f"POST {PIPELINE} HTTP/1.1\r\nHost: localhost\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body.content)}\r\n\r\n"
            connection.sendall(head.encode() + body.content)
            served.until(lambda: served.services.host.counts.waiting == 1, "the request")
        served.until(lambda: served.services.host.counts.waiting == 0, "the cancellation")
        served.until(lambda: not served.services.running, "the end of the request")


def test_progress_of_a_request_is_reported(served, sample):
    def progress_of(request_id):
        return served.pem.get(f"/api/v1/requests/{request_id}")

    with ThreadPoolExecutor(1) as pool, Gate(served.services):
        job = pool.submit(
            served.pem.post, PIPELINE, json=sample, headers={"X-Request-ID": "my-request"}
        )
        served.until(lambda: "my-request" in served.services.running, "the request")
        progress = progress_of("my-request").json()
        assert progress["stage"] == "queue"
    assert job.result(60).status_code == 200
    served.until(lambda: progress_of("my-request").status_code == 404, "the end of the request")


def test_progress_is_reported_from_the_arrival_on(served, sample, caplog):
    """It was 404 while the body came and the object was prepared; each poll was a line of INFO."""
    caplog.set_level(logging.INFO)
    body = httpx.Request("POST", served.urls["pem"] + PIPELINE, json=sample).content
    sent = threading.Event()

    def parts():
        yield body[:1000]
        sent.wait(20)
        yield body[1000:]

    headers = {"Content-Type": "application/json", "X-Request-ID": "in-parts"}
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(served.pem.post, PIPELINE, content=parts(), headers=headers)
        url = "/api/v1/requests/in-parts"
        served.until(lambda: served.pem.get(url).status_code == 200, "the request")
        progress = served.pem.get(url).json()
        sent.set()
        assert job.result(60).status_code == 200
    assert progress["stage"] == "prepare"
    assert progress["elapsed_s"] >= 0
    ours = [text for name, _, text in caplog.record_tuples if name.startswith("sam6d_ros")]
    assert [text for text in ours if "/api/v1/requests" in text] == []


def test_an_object_that_is_removed_before_the_answer_is_written_is_in_it(served, sample):
    served.pem.post(PIPELINE, json=sample).raise_for_status()
    host, unblocked = served.services.host, threading.Event()
    model = replace(host.objects.models["tea_box"], name="short_lived")
    host.change(ObjectChange.add(model)).result(60)
    body = {**sample, "cad_path": None, "object": "short_lived"}
    with ThreadPoolExecutor(1) as pool:
        with Gate(served.services):
            job = pool.submit(served.pem.post, PIPELINE, json=body)
            served.until(lambda: host.counts.waiting == 1, "the request")
            for _ in range(CONVERTERS):
                served.services._threads.submit(unblocked.wait, 60)
        host.change(ObjectChange.drop("short_lived")).result(60)
        unblocked.set()
        answer = job.result(60).raise_for_status().json()
    assert [pose["name"] for pose in answer["pem_result"]["poses"]] == ["short_lived"]


def test_a_failed_load_leaves_the_server_up_with_the_reason(http_cache, sample):
    def build():
        raise CheckpointError("sam_vit_h.pth is truncated; run `sam6d weights fetch`")

    with serving(settings_for(http_cache), build=build, ready=False) as server:
        server.until(lambda: "truncated" in server.pem.get("/health").text, "the failure")
        health = server.pem.get("/health")
        assert health.status_code == 503
        assert health.json()["status"] == "unavailable"
        answer = server.pem.post(PIPELINE, json=sample)
        assert answer.status_code == 503
        assert "truncated" in answer.json()["error_message"]
        status = server.ism.get("/api/v1/status").json()
        assert status["model_loaded"] is False
        assert status["device"] is None


def test_requests_that_wait_are_done_before_the_end(http_cache, sample):
    with ThreadPoolExecutor(1) as pool:
        with serving(settings_for(http_cache, role=PEM)) as server:
            server.pem.post(PIPELINE, json=sample).raise_for_status()
            gate = Gate(server.services)
            job = pool.submit(httpx.post, server.urls["pem"] + PIPELINE, json=sample, timeout=60)
            server.until(lambda: server.services.host.counts.waiting == 1, "the request")
            gate.open()
        assert job.result(60).status_code == 200
