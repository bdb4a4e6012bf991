"""From the process's providers to the endpoint and to /metrics: uses what the application has set, makes the rest."""

from __future__ import annotations

import atexit
import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, TraceIdRatioBased

from tachograph.registry.instruments import INTERNAL_ERRORS
from tachograph.registry.names import HOOK, SCHEMA_VERSION
from tachograph.telemetry import guard
from tachograph.telemetry.batch import SHUTDOWN_S, BatchProcessor
from tachograph.telemetry.exporter import Answer, Exporter, Inner, Tally, warn
from tachograph.telemetry.metrics import Metrics
from tachograph.telemetry.otlp import connect_logs, connect_spans, has_credential_provider
from tachograph.telemetry.outgoing import outgoing_log, outgoing_span
from tachograph.telemetry.processor import SCOPE, LogTap, SpanTap, log_tap, span_tap
from tachograph.telemetry.recorder import Clock, Ids, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace.sampling import Sampler

    from tachograph.config import Config
    from tachograph.registry.instruments import Instrument
    from tachograph.telemetry.audit import AuditLog
    from tachograph.telemetry.endpoint import PrometheusReader, Server
    from tachograph.telemetry.push import PushReader

_SAMPLER = "OTEL_TRACES_SAMPLER"
_LEAST_S = 0.1  # what the last push gets when the other signals took all the time
_KEEPS_ALL = frozenset({"always_on", "parentbased_always_on"})


@dataclass(frozen=True, slots=True)
class _MetricsOut:
    """How metrics leave the process: scraped, pushed, or not at all."""

    reader: PrometheusReader | None = None
    server: Server | None = None
    push: PushReader | None = None

    def begin_close(self) -> None:
        """Starts what takes time."""
        if self.push is not None:
            self.push.begin_last_push()

    def close(self, meters: MeterProvider, timeout_s: float) -> None:
        """Frees the port, waits for the last push, and takes the reader out of its provider."""
        if self.server is not None:
            self.server.close()
        if self.push is not None:
            self.push.shutdown(timeout_s * 1000)
        for reader in (self.reader, self.push):
            if reader is not None:
                meters.remove_metric_reader(reader)


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
    metrics: _MetricsOut
    notes: tuple[str, ...]
    where: str

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
            baggage=config.baggage,
            audit_log=audit_log,
            sample_rate=sample_rate(self.tracers.sampler),
        )

    def tally_failures(self) -> Callable[[], None]:
        """Counts each failure of ours as a metric until the returned function is called."""
        return guard.listen(lambda hook: self.instruments.record(INTERNAL_ERRORS, 1, {HOOK: hook}))

    def flush(self, timeout_s: float) -> bool:
        """Sends what is waiting; True when all of it was delivered in time."""
        deadline = time.monotonic() + timeout_s
        return all(batch.force_flush(_milliseconds_left(deadline)) for batch in self.batches)

    def exposition(self) -> bytes:
        """The text of /metrics; empty without a Prometheus reader."""
        reader = self.metrics.reader
        return reader.exposition(openmetrics=False) if reader is not None else b""

    def close(self) -> None:
        """Sends what is left, for 2 s at most, and takes tachograph out of the providers, which stay as they are."""
        atexit.unregister(self.close)
        self.spans.open = self.logs.open = False
        self.spans.sinks = self.logs.sinks = ()
        deadline = time.monotonic() + SHUTDOWN_S * 0.9
        self.instruments.close()
        self.metrics.begin_close()
        for batch in self.batches:  # side by side: a dead endpoint costs its time once, not once a signal
            batch.stop(deadline)
        for batch in self.batches:
            batch.shutdown()
        self.metrics.close(self.meters, max(_LEAST_S, deadline - time.monotonic()))
        lost = sum(batch.lost for batch in self.batches)
        if lost:
            warn("tachograph: %d spans and events are lost: nothing took them at %s. Is it up?", lost, self.where)


def connect(config: Config) -> Pipeline:
    """Providers, export and /metrics of this process."""
    resource = Resource.create({SERVICE_NAME: config.service_name})
    notes = list(config.notes)
    tracers, own_tracers = _tracers(resource)
    notes += _sampler_note() if own_tracers else ()
    loggers, own_loggers = _loggers(resource)
    meters = _meters(resource)
    instruments = Metrics(meters.get_meter(SCOPE, SCHEMA_VERSION))
    metrics_out = _metrics_out(config, meters, notes)

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
        notes.append(f"traces and events go to {config.shown_endpoint}")
    spans.open = logs.open = True
    pipeline = Pipeline(
        tracers,
        loggers,
        meters,
        instruments,
        spans,
        logs,
        tuple(batches),
        metrics_out,
        tuple(notes),
        config.shown_endpoint,
    )
    atexit.register(pipeline.close)
    return pipeline


def _sampler_note() -> tuple[str, ...]:
    sampler = os.environ.get(_SAMPLER, "").strip()
    if not sampler or sampler.lower() in _KEEPS_ALL:
        return ()
    return (f"{_SAMPLER}={sampler} is passed over: tachograph keeps every trace that its caller keeps",)


def _milliseconds_left(deadline: float) -> int:
    return max(1, round((deadline - time.monotonic()) * 1000))


def _batch(
    signal: str, connect_: Callable[..., Inner[Any]], outgoing: Callable[..., Any], config: Config, tally: Tally
) -> BatchProcessor:
    answer = None if has_credential_provider(signal) else Answer()
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
    made = TracerProvider(DEFAULT_ON, resource)
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


def _metrics_out(config: Config, meters: MeterProvider, notes: list[str]) -> _MetricsOut:
    match config.metrics:
        case "none":
            notes.append("metrics: off")
            return _MetricsOut()
        case "otlp":
            return _pushed(config, meters, notes)
        case "prometheus":
            return _scraped(config, meters, notes)


def _scraped(config: Config, meters: MeterProvider, notes: list[str]) -> _MetricsOut:
    from tachograph.telemetry.endpoint import PrometheusReader, serve

    reader = None
    try:
        reader = PrometheusReader()
        meters.add_metric_reader(reader)
        server = serve(reader, host=config.metrics_host, port=config.metrics_port, token=config.metrics_token)
    except Exception as error:  # noqa: BLE001 - the agent runs without /metrics, and the report says so
        notes.append(f"/metrics is not served: {error}")
        return _MetricsOut(reader)
    notes.append(f"/metrics on http://{config.metrics_host}:{server.port}/metrics")
    return _MetricsOut(reader, server)


def _pushed(config: Config, meters: MeterProvider, notes: list[str]) -> _MetricsOut:
    from tachograph.telemetry.push import push_to

    try:
        push = push_to(config.endpoint, config.headers)
    except Exception as error:  # noqa: BLE001 - the agent runs without metrics, and the report says so
        notes.append(f"metrics are not pushed: {error}")
        return _MetricsOut()
    meters.add_metric_reader(push)
    notes.append(f"metrics are pushed to {config.shown_endpoint}/v1/metrics")
    return _MetricsOut(push=push)


def sample_rate(sampler: Sampler) -> float | None:
    """The share of traces that a sampler begins; None for one that cannot be asked."""
    root: object = getattr(
        sampler, "_root", sampler
    )  # a sampler that follows the parent has another for the first span
    if isinstance(root, TraceIdRatioBased):
        return root.rate
    return 1.0 if root is ALWAYS_ON else None
