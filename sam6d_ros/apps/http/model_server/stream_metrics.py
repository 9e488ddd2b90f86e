"""Prometheus figures of the streams of a model server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sam6d_ros.runtime.streams import Entry, StreamState


class StreamCollector(Collector):
    """Figures of all streams, read when they are asked for.

    Args:
        entries: returns the streams.
    """

    def __init__(self, entries: Callable[[], Sequence[Entry]]) -> None:
        self._entries = entries

    def collect(self) -> Iterable[Metric]:
        """Yield the figures."""
        live = _gauge("live", "Whether the stream gives pictures (1) or not (0).")
        rate = _gauge("pictures_per_second", "Pictures decoded per second.")
        shown = _gauge("shown_per_second", "Pictures analysed and encoded per second.")
        age = _gauge("age_seconds", "Median from decoding to the end of encoding.")
        viewers = _gauge("viewers", "Viewers of the live output.")
        pictures = CounterMetricFamily(
            "sam6d_stream_pictures", "Pictures decoded since the start.", labels=["stream"]
        )
        for entry in self._entries():
            status, output = entry.stream.status, entry.live.status
            live.add_metric([entry.key], float(status.state is StreamState.LIVE))
            rate.add_metric([entry.key], status.rate_hz)
            shown.add_metric([entry.key], output.rate_hz)
            age.add_metric([entry.key], output.age.median)
            viewers.add_metric([entry.key], output.viewers)
            pictures.add_metric([entry.key], status.pictures)
        yield from (live, rate, shown, age, viewers, pictures)


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sam6d_stream_{name}", text, labels=["stream"])
