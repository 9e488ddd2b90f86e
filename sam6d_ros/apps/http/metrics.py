"""Prometheus metrics of one server process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sam6d_ros.runtime.engine_host import HostCounts
from sam6d_ros.runtime.memory import device_bytes

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
            "Seconds of one stage of one request.",
            ("stage",),
            buckets=SECONDS,
            registry=self.registry,
        )

    def report(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is a template, never a path of a client."""
        self._requests.labels(method, route, str(status)).inc()
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
    """

    def __init__(self, counts: Callable[[], HostCounts], ready: Callable[[], bool]) -> None:
        self._counts, self._ready = counts, ready

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
            "sam6d_gpu_memory_bytes", "GPU memory that torch has allocated.", device_bytes()
        )
