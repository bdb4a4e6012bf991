"""Metrics pushed over OTLP, for workers that share a port and for processes that nobody can scrape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # pyright: ignore[reportPrivateUsage]: the SDK has no public name for it
    attach,
    detach,
    set_value,
)
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader

from tachograph.export.batch import SHUTDOWN_S
from tachograph.export.exporter import quiet, warn
from tachograph.export.outgoing import outgoing_metrics
from tachograph.privacy.redaction import DEFAULT, Redaction
from tachograph.registry.instruments import EXPORT_FAILURES
from tachograph.registry.names import SIGNAL
from tachograph.telemetry import guard

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

    from tachograph.export.destination import Destination
    from tachograph.export.exporter import Tally

_LAST_PUSH_MS = SHUTDOWN_S * 1000


class PushReader(PeriodicExportingMetricReader):
    """Pushes all metrics of a MeterProvider every OTEL_METRIC_EXPORT_INTERVAL.

    Ends within 2 s whoever ends it, also the provider at exit, which would wait 30 s for a dead endpoint. A push that
    fails is counted by `tally` and told once a minute; nothing is lost, the next one has all counts again. `redaction`
    keys the hashes among the labels.
    """

    tally: Tally | None = None
    redaction: Redaction = DEFAULT
    _over = False

    def begin_last_push(self) -> None:
        """Starts the push that ends all pushing; `shutdown` waits for it."""
        self._shutdown_event.set()

    def shutdown(self, timeout_millis: float = _LAST_PUSH_MS, **kwargs: Any) -> None:
        """Pushes once more and stops. A second call does nothing."""
        if not self._shutdown:
            super().shutdown(min(timeout_millis, _LAST_PUSH_MS), **kwargs)  # pyright: ignore[reportUnknownMemberType] - the SDK's **kwargs are untyped
            self._over = True

    @guard.guarded("export", None)
    def collect(self, timeout_millis: float = 10_000) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - final there, but its thread calls it once more when its reader is out of its provider
        """Reads and pushes, unless the last push has taken too long and nobody waits for its thread any more."""
        if not self._over:
            super().collect(timeout_millis)

    @guard.guarded("export", None)
    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> None:
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True))
        try:
            with self._export_lock, quiet(self._exporter):
                sent = outgoing_metrics(metrics_data, self.redaction)
                result = self._exporter.export(sent, timeout_millis=timeout_millis)  # pyright: ignore[reportUnknownMemberType] - the SDK's **kwargs are untyped
        except Exception as error:  # noqa: BLE001  counted as a failed push
            guard.failed("export", error)
            result = MetricExportResult.FAILURE
        finally:
            detach(token)
        if result is not MetricExportResult.SUCCESS:
            warn("tachograph: metrics do not get through; the next push has them again. The agent goes on.")
            if self.tally is not None:
                self.tally(EXPORT_FAILURES, 1, {SIGNAL: "metrics"})


def push_to(to: Destination) -> PushReader:
    """A reader that pushes to a destination; raises ValueError where OTEL_* settings make no sense to it."""
    if to.protocol == "grpc":
        from tachograph.export.otlp_grpc import connect_metrics
    else:
        from tachograph.export.otlp import connect_metrics
    return PushReader(connect_metrics(to))
