"""Records all hooks in memory, whatever providers the application has set."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from tachograph.audit.record import keep
from tachograph.instrument import report
from tachograph.metrics.metrics import Metrics
from tachograph.run import CALLING, RUNNING
from tachograph.telemetry import guard
from tachograph.telemetry.processor import log_tap, span_tap
from tachograph.telemetry.recorder import Recorder, activate, active
from tachograph.telemetry.spans import Spans
from tachograph.telemetry.threads import carry
from tachograph.testing.clock import SteppingClock
from tachograph.testing.ids import CountingIdGenerator, CountingIds
from tachograph.testing.recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Generator

    from tachograph.audit.writer import AuditLog
    from tachograph.config import Capture


@contextlib.contextmanager
def recording(
    agent: str = "agent",
    *,
    clock: SteppingClock | None = None,
    ids: CountingIds | None = None,
    audit_log: AuditLog | None = None,
    capture: Capture = "off",
    hash_key: bytes | None = None,
) -> Generator[Recorded]:
    """Records all hooks in memory while the block runs; after it the recorder is active that was so before."""
    spans, logs, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()
    for exporter in (spans, logs):  # a step that the garbage collector ends may come in the middle of another's export
        exporter._lock = threading.RLock()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - no argument says it
    tracers = TracerProvider(sampler=ALWAYS_ON, id_generator=CountingIdGenerator(), shutdown_on_exit=False)
    loggers = LoggerProvider(shutdown_on_exit=False)
    meters = MeterProvider([reader], shutdown_on_exit=False)
    for provider in (tracers, loggers, meters):
        # OTEL_SDK_DISABLED keeps a test run's telemetry at home; what a test looks at is none of that
        provider._disabled = False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no argument says it
    span_tap(tracers).open = log_tap(loggers).open = True
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    recorder = Recorder(
        Spans(tracers.get_tracer("tachograph")),
        loggers.get_logger("tachograph"),
        Metrics(meters.get_meter("tachograph")),
        agent,
        clock=clock or SteppingClock(),
        ids=ids or CountingIds(),
        capture=capture,
        hash_key=hash_key,
    )
    # An entry is on record when its hook ends; the chain's own id is none of the test's.
    keep(recorder, audit_log=audit_log, threaded=False, ids=CountingIds())
    before, stop_carrying = active(), carry()
    activate(recorder)
    recorder.metrics.born(agent)
    process = report()
    for hook in process.hooks if process is not None else ():  # what instrument() hooked writes here now
        recorder.cover(hook, agent)
    recorded = Recorded(recorder, spans, logs, reader)
    try:
        yield recorded
    finally:
        recorded.close()
        stop_carrying()
        activate(before)
        guard.forget_causes()


@contextlib.contextmanager
def outside_of_runs() -> Generator[None]:
    """No run and no call that an earlier test has left open is current inside."""
    run, call = RUNNING.set(None), CALLING.set(None)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # ended in another context, which never saw what was set here
            CALLING.reset(call)
            RUNNING.reset(run)
