"""From the process's providers to the endpoint and to /metrics: uses what the application has set, makes the rest."""

from __future__ import annotations

import atexit
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider

from tachograph.registry.instruments import HOOK_FAILURES
from tachograph.registry.names import HOOK, SCHEMA_VERSION
from tachograph.telemetry import guard
from tachograph.telemetry.batch import SHUTDOWN_S, BatchProcessor
from tachograph.telemetry.exporter import Answer, Exporter, Inner, Tally
from tachograph.telemetry.metrics import Metrics
from tachograph.telemetry.otlp import connect_logs, connect_spans
from tachograph.telemetry.outgoing import outgoing_log, outgoing_span
from tachograph.telemetry.processor import LogTap, SpanTap, log_tap, span_tap
from tachograph.telemetry.recorder import Clock, Ids, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tachograph.config import Config
    from tachograph.registry.instruments import Instrument
    from tachograph.telemetry.audit import AuditLog
    from tachograph.telemetry.endpoint import PrometheusReader, Server

SCOPE = "tachograph"


@dataclass(slots=True)
class Pipeline:
    """The providers in use and what tachograph put around them."""

    tracers: TracerProvider
    loggers: LoggerProvider
    meters: MeterProvider
    instruments: Metrics
    spans: SpanTap
    logs: LogTap
    batches: tuple[BatchProcessor, ...]
    reader: PrometheusReader | None
    server: Server | None
    notes: tuple[str, ...]

    def recorder(self, config: Config, *, clock: Clock | None, ids: Ids, audit_log: AuditLog | None) -> Recorder:
        """What the hooks write to."""
        return Recorder(
            self.tracers.get_tracer(SCOPE, SCHEMA_VERSION),
            self.loggers.get_logger(SCOPE, SCHEMA_VERSION),
            self.instruments,
            config.service_name,
            clock=clock or time.time_ns,
            ids=ids,
            hash_key=config.hash_key,
            tenant_hashed=config.tenant_hashed,
            content=config.content,
            audit_log=audit_log,
        )

    def tally_failures(self) -> Callable[[], None]:
        """Counts each failure of ours as a metric until the returned function is called."""
        return guard.listen(lambda hook: self.instruments.record(HOOK_FAILURES, 1, {HOOK: hook}))

    def flush(self, timeout_s: float) -> bool:
        """Sends what is waiting; True when all of it was delivered in time."""
        deadline = time.monotonic() + timeout_s
        return all(batch.force_flush(_milliseconds_left(deadline)) for batch in self.batches)

    def exposition(self) -> bytes:
        """The text of /metrics; empty without a Prometheus reader."""
        return self.reader.exposition(openmetrics=False) if self.reader is not None else b""

    def close(self) -> None:
        """Sends what is left, for 2 s at most, and takes tachograph out of the providers, which stay as they are."""
        atexit.unregister(self.close)
        self.spans.open = self.logs.open = False
        self.spans.sinks = self.logs.sinks = ()
        deadline = time.monotonic() + SHUTDOWN_S * 0.9
        for batch in self.batches:  # side by side: a dead endpoint costs its time once, not once a signal
            batch.stop(deadline)
        for batch in self.batches:
            batch.shutdown()
        if self.server is not None:
            self.server.close()
        if self.reader is not None:
            self.meters.remove_metric_reader(self.reader)


def connect(config: Config) -> Pipeline:
    """Providers, export and /metrics of this process."""
    resource = Resource.create({SERVICE_NAME: config.service_name})
    notes: list[str] = []
    tracers, own_tracers = _tracers(resource)
    loggers, own_loggers = _loggers(resource)
    meters = _meters(resource)
    instruments = Metrics(meters.get_meter(SCOPE, SCHEMA_VERSION))
    reader, server = _metrics_endpoint(config, meters, notes)

    def tally(metric: Instrument, value: int, labels: Mapping[str, str]) -> None:
        instruments.record(metric, value, labels)

    spans, logs = span_tap(tracers), log_tap(loggers)
    batches: list[BatchProcessor] = []
    if own_tracers or config.endpoint_given:
        batches.append(_batch("traces", connect_spans, outgoing_span, config, tally))
        spans.sinks = (batches[-1],)
    else:
        notes.append("traces: the application's tracer provider exports them; endpoint= adds an export of ours")
    if own_loggers or config.endpoint_given:
        batches.append(_batch("logs", connect_logs, outgoing_log, config, tally))
        logs.sinks = (batches[-1],)
    else:
        notes.append("events: the application's logger provider exports them; endpoint= adds an export of ours")
    if batches:
        notes.append(f"traces and events go to {config.endpoint}")
    spans.open = logs.open = True
    pipeline = Pipeline(
        tracers, loggers, meters, instruments, spans, logs, tuple(batches), reader, server, tuple(notes)
    )
    atexit.register(pipeline.close)
    return pipeline


def _milliseconds_left(deadline: float) -> int:
    return max(1, round((deadline - time.monotonic()) * 1000))


def _batch(
    signal: str, connect_: Callable[..., Inner[Any]], outgoing: Callable[..., Any], config: Config, tally: Tally
) -> BatchProcessor:
    answer = Answer()
    exporter = Exporter[Any](
        signal,
        partial(connect_, answer, config.endpoint if config.endpoint_given else None, config.headers or None),
        partial(outgoing, content=config.content),
        tally,
        answer=answer,
        patience_s=config.patience_s,
    )
    return BatchProcessor(signal, exporter, tally)


def _tracers(resource: Resource) -> tuple[TracerProvider, bool]:
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        return provider, provider in _ours
    made = TracerProvider(resource=resource)
    _ours.append(made)
    trace.set_tracer_provider(made)
    return made, True


def _loggers(resource: Resource) -> tuple[LoggerProvider, bool]:
    provider = _logs.get_logger_provider()
    if isinstance(provider, LoggerProvider):
        return provider, provider in _ours
    made = LoggerProvider(resource=resource)
    _ours.append(made)
    _logs.set_logger_provider(made)
    return made, True


def _meters(resource: Resource) -> MeterProvider:
    provider = metrics.get_meter_provider()
    if isinstance(provider, MeterProvider):
        return provider
    made = MeterProvider(resource=resource)
    metrics.set_meter_provider(made)
    return made


_ours: list[object] = []  # the global providers that we set: a later instrument() exports from them again


def _metrics_endpoint(
    config: Config, meters: MeterProvider, notes: list[str]
) -> tuple[PrometheusReader | None, Server | None]:
    if config.metrics == "none":
        notes.append("metrics: off")
        return None, None
    if config.metrics == "otlp":
        _push_metrics(config, meters, notes)
        return None, None
    from tachograph.telemetry.endpoint import PrometheusReader, serve

    reader, server = None, None
    try:
        reader = PrometheusReader()
        meters.add_metric_reader(reader)
        server = serve(reader, host=config.metrics_host, port=config.metrics_port, token=config.metrics_token)
    except Exception as error:  # noqa: BLE001 - the agent runs without /metrics, and the report says so
        notes.append(f"/metrics is not served: {error}")
        return reader, server
    notes.append(f"/metrics on http://{config.metrics_host}:{server.port}/metrics")
    return reader, server


def _push_metrics(config: Config, meters: MeterProvider, notes: list[str]) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    exporter = OTLPMetricExporter(f"{config.endpoint}/v1/metrics", headers=dict(config.headers) or None)
    meters.add_metric_reader(PeriodicExportingMetricReader(exporter))
    notes.append(f"metrics are pushed to {config.endpoint}/v1/metrics")
