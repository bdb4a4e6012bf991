"""From the process's providers to the endpoint and to /metrics: uses what the application has set, makes the rest."""

from __future__ import annotations

import atexit
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import SERVICE_NAME, Resource

from tachograph.audit.record import keep
from tachograph.errors import UsageError
from tachograph.export.batch import SHUTDOWN_S, BatchProcessor
from tachograph.export.delivery import Delivery, deliver, places
from tachograph.export.destination import destination
from tachograph.export.exporter import Tally, warn
from tachograph.export.outgoing import outgoing_log, outgoing_span
from tachograph.metrics.metrics import Metrics
from tachograph.privacy.redaction import Redaction
from tachograph.registry.instruments import INTERNAL_ERRORS
from tachograph.registry.names import HOOK, SCHEMA_VERSION
from tachograph.sampling.policy import Policy, policy, sample_rate, unsampled
from tachograph.telemetry import guard, succession
from tachograph.telemetry.deadline import left, within
from tachograph.telemetry.processor import SCOPE, LogTap, SpanTap, log_tap, span_tap
from tachograph.telemetry.providers import logger_provider, meter_provider, tracer_provider
from tachograph.telemetry.recorder import Clock, Ids, Recorder
from tachograph.telemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    from tachograph.audit.writer import AuditLog, Writer
    from tachograph.config import Capture, Config
    from tachograph.metrics.endpoint import PrometheusReader
    from tachograph.metrics.push import PushReader
    from tachograph.metrics.workers import Workers
    from tachograph.registry.instruments import Instrument
    from tachograph.sampling.sampler import TailSampler

_SETTING = (OSError, ValueError, UsageError)  # what a setting or a port that is taken raises
_LEAST_S = 0.1  # what the last push gets when the other signals took all the time


@dataclass(frozen=True, slots=True)
class _MetricsOut:
    """How metrics leave the process: scraped, pushed, or not at all."""

    reader: PrometheusReader | None = None
    server: Workers | None = None
    push: PushReader | None = None

    def begin_close(self) -> None:
        """Starts what takes time."""
        if self.push is not None:
            self.push.begin_last_push()

    def close(self, meters: MeterProvider, timeout_s: float) -> None:
        """Frees the port, waits for the last push, and takes the reader out of its provider."""
        deadline = time.monotonic() + timeout_s
        if self.server is not None:
            self.server.close(deadline)  # keeps the last numbers, so before the reader is taken out
        if self.push is not None:
            self.push.shutdown(max(_LEAST_S, left(deadline)) * 1000)
        for reader in (self.reader, self.push):
            if reader is not None:  # the SDK has its lock while it asks the application's callbacks
                within(max(deadline, time.monotonic() + _LEAST_S), partial(meters.remove_metric_reader, reader))


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
    sampler: TailSampler | None
    metrics: _MetricsOut
    notes: tuple[str, ...]
    where: str
    audit: Writer | None = None
    capture: Capture = "off"

    def recorder(self, config: Config, *, clock: Clock | None, ids: Ids, audit_log: AuditLog | None) -> Recorder:
        """What the hooks write to."""
        recorder = Recorder(
            Spans(self.tracers.get_tracer(SCOPE, SCHEMA_VERSION)),
            self.loggers.get_logger(SCOPE, SCHEMA_VERSION),
            self.instruments,
            config.service_name,
            clock=clock or time.time_ns,
            ids=ids,
            hash_key=config.hash_key,
            tenant_hashed=config.tenant_hashed,
            capture=self.capture,
            baggage=config.baggage,
            sample_rate=sample_rate(self.tracers.sampler),
        )
        if self.sampler is not None:
            recorder.notice = self.sampler.notice
        # Simulated time does not wait for a thread: there an entry is on record when its hook ends.
        self.audit = keep(
            recorder, folder=config.audit_dir, key=config.audit_key, audit_log=audit_log, threaded=clock is None
        )
        succession.begin(self, recorder, config)
        return recorder

    def tally_failures(self) -> Callable[[], None]:
        """Counts each failure of ours as a metric until the returned function is called."""
        return guard.listen(lambda hook: self.instruments.record(INTERNAL_ERRORS, 1, {HOOK: hook}))

    def flush(self, timeout_s: float) -> bool:
        """Sends what is waiting; True when all of it was delivered in time."""
        deadline = time.monotonic() + timeout_s
        kept = self.metrics.server is None or self.metrics.server.keep(deadline)
        if self.audit is not None and not self.audit.flush(deadline):
            return False
        if self.sampler is not None and not self.sampler.work(timeout_s):
            return False
        return all(batch.force_flush(_milliseconds_left(deadline)) for batch in self.batches) and kept

    def exposition(self) -> bytes:
        """The text of /metrics; empty without a Prometheus reader."""
        reader = self.metrics.reader
        return reader.exposition(openmetrics=False) if reader is not None else b""

    @guard.guarded("export", None)
    def close(self) -> None:
        """Sends what is left, for 2 s at most, and takes tachograph out of the providers, which stay as they are."""
        atexit.unregister(self.close)
        deadline = time.monotonic() + SHUTDOWN_S * 0.9
        for step in (
            succession.end,
            # Its events still have a way out.
            *(() if self.audit is None else (partial(self.audit.close, deadline - SHUTDOWN_S * 0.5),)),
            self._let_go,
            *(() if self.sampler is None else (self.sampler.close,)),
            self.instruments.close,
            self.metrics.begin_close,
            *(partial(batch.stop, deadline) for batch in self.batches),  # side by side: a dead endpoint costs its time
            *(batch.shutdown for batch in self.batches),  # once, not once a signal
            lambda: self.metrics.close(self.meters, max(_LEAST_S, deadline - time.monotonic())),
        ):
            guard.guarded("export", None)(step)()  # the next thing ends whatever happens to this one
        lost = sum(batch.lost for batch in self.batches)
        if lost:
            warn("tachograph: %d spans and events are lost: nothing took them at %s. Is it up?", lost, self.where)

    def _let_go(self) -> None:
        self.spans.open = self.logs.open = False
        self.spans.sinks = self.logs.sinks = ()
        self.spans.watch = None


def connect(config: Config) -> Pipeline:
    """Providers, export and /metrics of this process; where a part fails, threads and ports of the others end again."""
    begun: list[Callable[[], None]] = []
    try:
        return _connected(config, begun)
    except BaseException:
        for end in reversed(begun):
            guard.guarded("export", None)(end)()
        raise


def _connected(config: Config, begun: list[Callable[[], None]]) -> Pipeline:
    """As connect(); `begun` gets what ends each part."""
    resource = Resource.create({SERVICE_NAME: config.service_name})
    notes = list(config.notes)
    chosen = policy(config.sample_rate)
    tracers, own_tracers = tracer_provider(resource, chosen.sampler, notes)
    if not own_tracers:  # OpenTelemetry's variables are for its provider's own sampler
        chosen = policy(config.sample_rate, {})
    loggers, own_loggers = logger_provider(resource, notes)
    meters = meter_provider(resource, notes)
    instruments = Metrics(meters.get_meter(SCOPE, SCHEMA_VERSION), clerk=True)
    begun.append(instruments.close)
    metrics_out = _metrics_out(config, meters, instruments, notes, begun)

    def tally(metric: Instrument, value: int, labels: Mapping[str, str]) -> None:
        instruments.record(metric, value, labels)

    if metrics_out.push is not None:
        metrics_out.push.tally = tally
    said: Any = {"capture": config.capture, "redaction": Redaction(analyzer=config.analyzer, hash_key=config.hash_key)}
    capture = config.capture if own_tracers or config.analyzer is None else "off"
    if capture != config.capture:
        notes.append("content: not recorded, as the application's tracer provider exports without the analyzer")
    spans, logs = span_tap(tracers), log_tap(loggers)
    traces_out = logs_out = Delivery()
    if own_tracers or config.endpoint_given:
        traces_out = deliver("traces", partial(outgoing_span, **said), config, tally, notes)
        begun += [partial(batch.shutdown, _LEAST_S) for batch in traces_out.batches]
        spans.sinks = traces_out.sinks
    else:
        notes.append("traces: the application's tracer provider exports them; endpoint= adds an export of ours")
    if own_loggers or config.endpoint_given:
        logs_out = deliver("logs", partial(outgoing_log, **said), config, tally, notes)
        begun += [partial(batch.shutdown, _LEAST_S) for batch in logs_out.batches]
        logs.sinks = logs_out.sinks
    else:
        notes.append("events: the application's logger provider exports them; endpoint= adds an export of ours")
    notes += places(traces_out, logs_out)
    sampler = _sampler(config, chosen, (spans, logs), tally, sample_rate(tracers.sampler))
    if sampler is not None:
        begun.append(sampler.close)
    notes += chosen.notes if own_tracers or config.endpoint_given else unsampled(config.sample_rate)
    spans.open = logs.open = True
    pipeline = Pipeline(
        tracers,
        loggers,
        meters,
        instruments,
        spans,
        logs,
        (*traces_out.batches, *logs_out.batches),
        sampler,
        metrics_out,
        tuple(notes),
        " and ".join(dict.fromkeys(filter(None, (traces_out.shown, logs_out.shown)))),
        capture=capture,
    )
    atexit.register(pipeline.close)
    return pipeline


def _sampler(
    config: Config, chosen: Policy, taps: tuple[SpanTap, LogTap], tally: Tally, head_rate: float | None
) -> TailSampler | None:
    """What decides about traces before they reach our batches; None, and nothing in their way, where all are kept."""
    spans, logs = taps
    if not spans.sinks or (chosen.rate >= 1 and not chosen.off):
        return None
    from tachograph.sampling.raises import RaiseFile
    from tachograph.sampling.sampler import TailSampler

    raises = RaiseFile(config.sampling_file) if config.sampling_file is not None and not chosen.off else None
    to_logs = logs.sinks[0] if logs.sinks else None
    sampler = TailSampler(chosen.rate, spans.sinks[0], to_logs, tally, raises=raises, head_rate=head_rate)
    spans.sinks, logs.sinks, spans.watch = (sampler,), (sampler,), sampler
    return sampler


def _milliseconds_left(deadline: float) -> int:
    return max(1, round((deadline - time.monotonic()) * 1000))


def _metrics_out(
    config: Config,
    meters: MeterProvider,
    instruments: Metrics,
    notes: list[str],
    begun: list[Callable[[], None]],
) -> _MetricsOut:
    match config.metrics:
        case "none":
            notes.append("metrics: off")
            return _MetricsOut()
        case "otlp":
            return _pushed(config, meters, notes, begun)
        case "prometheus":
            out = _scraped(config, meters, instruments, notes)
            begun.append(partial(out.close, meters, _LEAST_S))
            return out


def _scraped(config: Config, meters: MeterProvider, instruments: Metrics, notes: list[str]) -> _MetricsOut:
    from tachograph.metrics.endpoint import PrometheusReader
    from tachograph.metrics.fork import begin_at_zero
    from tachograph.metrics.workers import Address, Workers

    at = Address(
        config.service_name, config.metrics_host, config.metrics_port, config.metrics_token, config.metrics_dir
    )
    reader = None
    try:
        reader = PrometheusReader(Redaction(hash_key=config.hash_key))
        meters.add_metric_reader(reader)
        begin_at_zero(meters, reader)
        server = Workers(reader, at, instruments.waiting)
    except Exception as error:  # noqa: BLE001 - the agent runs without /metrics, and the report says so
        if not isinstance(error, _SETTING):
            guard.failed("export", error)
        notes.append(f"/metrics is not served: {error}")
        return _MetricsOut(reader)
    notes.append(server.note)
    return _MetricsOut(reader, server)


def _pushed(config: Config, meters: MeterProvider, notes: list[str], begun: list[Callable[[], None]]) -> _MetricsOut:
    from tachograph.metrics.fork import begin_at_zero
    from tachograph.metrics.push import push_to

    try:
        to = destination("metrics", config, notes)
        redaction = Redaction(hash_key=config.hash_key)
        push = push_to(to)
    except Exception as error:  # noqa: BLE001 - the agent runs without metrics, and the report says so
        if not isinstance(error, _SETTING):
            guard.failed("export", error)
        notes.append(f"metrics are not pushed: {error}")
        return _MetricsOut()
    push.redaction, out = redaction, _MetricsOut(push=push)
    begun.append(partial(out.close, meters, _LEAST_S))
    meters.add_metric_reader(push)
    begin_at_zero(meters, push)
    notes.append(f"metrics are pushed to {to.shown}")
    return out
