"""Metrics pushed over OTLP, for workers that share a port and for processes that nobody can scrape."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import MetricsData, PeriodicExportingMetricReader

from tachograph.telemetry.batch import SHUTDOWN_S
from tachograph.telemetry.outgoing import outgoing_resource

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAST_PUSH_MS = SHUTDOWN_S * 1000


class PushReader(PeriodicExportingMetricReader):
    """Pushes all metrics of a MeterProvider every OTEL_METRIC_EXPORT_INTERVAL.

    Ends within 2 s whoever ends it, also the provider at exit, which would wait 30 s for a dead endpoint.
    """

    def begin_last_push(self) -> None:
        """Starts the push that ends all pushing; `shutdown` waits for it."""
        self._shutdown_event.set()

    def shutdown(self, timeout_millis: float = _LAST_PUSH_MS, **kwargs: Any) -> None:
        """Pushes once more and stops. A second call does nothing."""
        if not self._shutdown:
            super().shutdown(min(timeout_millis, _LAST_PUSH_MS), **kwargs)  # pyright: ignore[reportUnknownMemberType] - the SDK's **kwargs are untyped

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        redacted = [replace(one, resource=outgoing_resource(one.resource)) for one in metrics_data.resource_metrics]
        super()._receive_metrics(MetricsData(redacted), timeout_millis, **kwargs)  # pyright: ignore[reportUnknownMemberType] - the SDK's **kwargs are untyped


def push_to(endpoint: str, headers: Mapping[str, str]) -> PushReader:
    """A reader that pushes to the base URL `endpoint`; raises ValueError where OTEL_* settings make no sense to it."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return PushReader(OTLPMetricExporter(f"{endpoint}/v1/metrics", headers=dict(headers) or None))
