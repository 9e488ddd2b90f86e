"""Prometheus metrics of one server process.

No label takes a value of a client: methods and routes are of fixed lists, stages are those of the
code, names are those of registered models and streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sam6d_ros.runtime.engine_host import HostCounts
from sam6d_ros.runtime.memory import device_bytes

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
OTHER = "other"  # method or path that no route has
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts and times of requests and stages.

    Args:
        collectors: further figures, read when they are asked for.
    """

    def __init__(self, *collectors: Collector) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        for collector in collectors:
            self.registry.register(collector)
        self._in_progress = Gauge(
            "sam6d_requests_in_progress",
            "Requests that are not answered yet, streams and this one included.",
            registry=self.registry,
        )
        self._requests = Counter(
            "sam6d_requests",
            "Answered requests.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "sam6d_request_seconds",
            "Seconds from the arrival of a request to its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "sam6d_stage_seconds",
            "Seconds of one stage of one request; queue is the wait for the engine.",
            ("stage",),
            buckets=SECONDS,
            registry=self.registry,
        )

    def in_progress(self) -> AbstractContextManager[object]:
        """Count a request as in progress while the context is open."""
        return self._in_progress.track_inprogress()

    def report(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is a template, never a path of a client."""
        known = method if method in METHODS else OTHER
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def stages(self, timings_s: Mapping[str, float]) -> None:
        """Count the stages of one request."""
        for stage, seconds in timings_s.items():
            self._stages.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class HostCollector(Collector):
    """Figures of an engine's host.

    Args:
        counts: returns the counts of the host.
        ready: returns whether requests are served.
        sessions: returns the number of tracking sessions.
    """

    def __init__(
        self,
        counts: Callable[[], HostCounts],
        ready: Callable[[], bool],
        sessions: Callable[[], int],
    ) -> None:
        self._counts, self._ready, self._sessions = counts, ready, sessions

    def collect(self) -> Iterable[Metric]:
        counts = self._counts()
        yield GaugeMetricFamily(
            "sam6d_queue_length", "Requests that wait for the engine.", counts.waiting
        )
        yield CounterMetricFamily(
            "sam6d_rejected", "Requests refused because the queue was full.", counts.rejected
        )
        yield GaugeMetricFamily(
            "sam6d_ready", "Whether requests are served (1) or not (0).", float(self._ready())
        )
        yield GaugeMetricFamily(
            "sam6d_sessions", "Open tracking sessions.", float(self._sessions())
        )
        yield GaugeMetricFamily(
            "sam6d_gpu_memory_bytes", "GPU memory that torch holds.", device_bytes()
        )
