"""The receiver's own metrics, as the registry defines them, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from tachograph.registry import MetricType, load, names

if TYPE_CHECKING:
    from tachograph_analytics.store.segment import Signal

EMITTER = "receiver"

# The answers that the receiver gives; each is born at 0, so that its first increase is seen.
ANSWERS = (200, 400, 401, 403, 404, 413, 415, 503)


class Measures:
    """The metrics of one receiver; counters are born at 0."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._made = {m.name: self._make(m) for m in load().metrics.values() if m.emitter == EMITTER}
        for signal in load().attributes[names.SIGNAL].values:
            self._counter("tachograph.receiver.acked").labels(signal)
            for answer in ANSWERS:
                self._counter("tachograph.receiver.requests").labels(signal, str(answer))

    def answered(self, signal: str, status: int) -> None:
        """Counts one request by its answer."""
        self._counter("tachograph.receiver.requests").labels(signal, str(status)).inc()

    def acked(self, signal: Signal, size: int) -> None:
        """Counts the bytes of one body that is durable."""
        self._counter("tachograph.receiver.acked").labels(signal.label).inc(size)

    def exposition(self, *, backlog: int, quarantined: int) -> bytes:
        """Prometheus text, with the two gauges as they are now."""
        self._gauge("tachograph.receiver.backlog").set(backlog)
        self._gauge("tachograph.receiver.quarantined").set(quarantined)
        return generate_latest(self.registry)

    def _make(self, metric: MetricType) -> Counter | Gauge:
        labels = [load().attributes[name].column for name in metric.labels]
        kind = Counter if metric.instrument == "counter" else Gauge
        return kind(metric.prometheus, metric.brief, labels, registry=self.registry)

    def _counter(self, name: str) -> Counter:
        made = self._made[name]
        assert isinstance(made, Counter)
        return made

    def _gauge(self, name: str) -> Gauge:
        made = self._made[name]
        assert isinstance(made, Gauge)
        return made
