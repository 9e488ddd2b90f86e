"""Prometheus figures of the models of a model server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sam6d_ros.runtime.model_server.host import ModelReport, ModelState

ANSWERING = (ModelState.READY, ModelState.FAILED, ModelState.EVICTED)
FIGURES = ("mean", "min", "max", "p50", "p95")

Value = Callable[[ModelReport], float]
GAUGES: tuple[tuple[str, str, Value], ...] = (
    ("ready", "Whether the model answers (1) or not (0).", lambda r: r.state in ANSWERING),
    ("queue_length", "Requests that wait for the model.", lambda r: r.waiting),
    ("memory_bytes", "Memory that its load took; an estimate.", lambda r: r.memory_bytes),
    (
        "images_per_second",
        "Images answered per second over the last minute.",
        lambda r: r.figures.images_per_s,
    ),
)
COUNTERS: tuple[tuple[str, str, Value], ...] = (
    ("images", "Images answered without error since the load.", lambda r: r.figures.images),
    ("errors", "Images answered with an error since the load.", lambda r: r.figures.errors),
    ("calls", "Calls of the model since the load.", lambda r: r.figures.calls),
    ("rejected", "Requests refused because the queue was full.", lambda r: r.rejected),
)


class ModelCollector(Collector):
    """Figures of all models, read when they are asked for.

    Args:
        reports: returns the reports of the models.
    """

    def __init__(self, reports: Callable[[], Sequence[ModelReport]]) -> None:
        self._reports = reports

    def collect(self) -> Iterable[Metric]:
        """Yield the figures."""
        reports = self._reports()
        for name, text, value in GAUGES:
            gauge = GaugeMetricFamily(f"sam6d_model_{name}", text, labels=["model"])
            for report in reports:
                gauge.add_metric([report.spec.name], float(value(report)))
            yield gauge
        for name, text, value in COUNTERS:
            counter = CounterMetricFamily(f"sam6d_model_{name}", text, labels=["model"])
            for report in reports:
                counter.add_metric([report.spec.name], value(report))
            yield counter
        yield _phases(reports)


def _phases(reports: Iterable[ModelReport]) -> Metric:
    family = GaugeMetricFamily(
        "sam6d_model_phase_seconds",
        "Seconds of one phase of a call, of the most recent calls.",
        labels=["model", "phase", "figure"],
    )
    for report in reports:
        for phase, spread in report.figures.phases_s.items():
            for figure in FIGURES:
                family.add_metric([report.spec.name, phase, figure], getattr(spread, figure))
    return family
