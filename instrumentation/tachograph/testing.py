"""For tests of agents: records what the hooks see in memory, with a clock and ids that are the same each time.

def test_the_refund_is_approved():
    with tachograph.testing.recording() as recorded:
        agent.handle("refund 13")
    assert recorded.values("approval", "tachograph.approval.status") == ["approved"]
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from typing_extensions import override

from tachograph.registry import load
from tachograph.registry import names as n
from tachograph.telemetry import guard
from tachograph.telemetry.metrics import Metrics
from tachograph.telemetry.processor import log_tap, span_tap
from tachograph.telemetry.recorder import Recorder, activate, active
from tachograph.telemetry.threads import carry

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from tachograph.telemetry.audit import AuditLog

EPOCH = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z in nanoseconds


@dataclass(slots=True)
class SteppingClock:
    """A clock that moves on by `step` seconds each time it is asked, or by hand."""

    now: int = EPOCH
    step: float = 1.0

    def __call__(self) -> int:
        """Nanoseconds since 1970."""
        self.now += round(self.step * 1e9)
        return self.now

    def advance(self, seconds: float) -> None:
        """Lets `seconds` pass."""
        self.now += round(seconds * 1e9)


@dataclass(slots=True)
class CountingIds:
    """Ids that count: 0000000000000001, 0000000000000002, …."""

    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __call__(self) -> str:
        """The next id."""
        return f"{next(self.counter):016x}"


class CountingIdGenerator(IdGenerator):
    """Trace and span ids that count."""

    def __init__(self) -> None:
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)

    @override
    def generate_trace_id(self) -> int:
        return next(self._traces)

    @override
    def generate_span_id(self) -> int:
        return next(self._spans)


@dataclass(slots=True)
class Recorded:
    """What was recorded: whole spans and events as plain dicts, metrics as numbers."""

    recorder: Recorder
    _spans: InMemorySpanExporter
    _logs: InMemoryLogRecordExporter
    _metrics: InMemoryMetricReader

    def sdk_spans(self) -> tuple[ReadableSpan, ...]:
        """The ended spans as the SDK has them, in the order in which they ended."""
        return self._spans.get_finished_spans()

    def spans(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The ended spans: name, kind, parent (a name), attributes without the common ones, status; `kind` filters."""
        ended = self.sdk_spans()
        names = {span.context.span_id: span.name for span in ended if span.context is not None}
        return [
            _plain(span, names) for span in ended if kind is None or (span.attributes or {}).get(n.SPAN_KIND) == kind
        ]

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The events in order: name and attributes without the common ones; `name` filters."""
        records = [data.log_record for data in self._logs.get_finished_logs()]
        return [
            {"name": record.event_name, "attributes": _without_common(record.attributes or {})}
            for record in records
            if name in {None, record.event_name}
        ]

    def values(self, kind: str, attribute: str) -> list[Any]:
        """One attribute of each span of a kind, in the order in which they ended."""
        return [
            (span.attributes or {}).get(attribute)
            for span in self.sdk_spans()
            if (span.attributes or {}).get(n.SPAN_KIND) == kind
        ]

    def metric(self, name: str, **labels: str | int | bool) -> float:
        """A counter's or gauge's sum (a histogram's count) over the series with these labels, dots as underscores."""
        return sum(value for series, value in self.series(name).items() if labels.items() <= dict(series).items())

    def series(self, name: str) -> dict[tuple[tuple[str, Any], ...], float]:
        """All series of a metric: label pairs, dots as underscores, to value (a histogram's count)."""
        data = self._metrics.get_metrics_data()
        found: dict[tuple[tuple[str, Any], ...], float] = {}
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            labels = sorted(
                                (key.replace(".", "_"), value) for key, value in (point.attributes or {}).items()
                            )
                            found[tuple(labels)] = point.value if hasattr(point, "value") else point.count  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - number or histogram point
        return found

    def detections(self, agent: str | None = None) -> dict[str, float]:
        """The detections that were counted, by rule, without those at 0; of all agents together, or of one."""
        counted: Counter[str] = Counter()
        for series, value in self.series("tachograph.detections").items():
            labels = dict(series)
            if agent in {None, labels["gen_ai_agent_name"]}:
                counted[labels["tachograph_detection_rule"]] += value  # pyright: ignore[reportArgumentType] - counts are whole
        return {rule: value for rule, value in sorted(counted.items()) if value}


@contextlib.contextmanager
def recording(
    agent: str = "agent",
    *,
    clock: SteppingClock | None = None,
    audit_log: AuditLog | None = None,
    content: bool = False,
    hash_key: bytes | None = None,
) -> Generator[Recorded]:
    """Records all hooks in memory while the block runs; after it the recorder is active that was so before."""
    spans, logs, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()
    tracers = TracerProvider(id_generator=CountingIdGenerator(), shutdown_on_exit=False)
    loggers = LoggerProvider(shutdown_on_exit=False)
    meters = MeterProvider([reader], shutdown_on_exit=False)
    span_tap(tracers).open = log_tap(loggers).open = True
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    recorder = Recorder(
        tracers.get_tracer("tachograph"),
        loggers.get_logger("tachograph"),
        Metrics(meters.get_meter("tachograph")),
        agent,
        clock=clock or SteppingClock(),
        ids=CountingIds(),
        audit_log=audit_log,
        content=content,
        hash_key=hash_key,
    )
    before, stop_carrying = active(), carry()
    activate(recorder)
    recorder.metrics.born(agent)
    try:
        yield Recorded(recorder, spans, logs, reader)
    finally:
        stop_carrying()
        activate(before)
        guard.forget_causes()


def _without_common(attributes: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {*load().common, n.SPAN_KIND, n.LOG_RECORD_UID}
    return {
        name: list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType] - an attribute
        for name, value in attributes.items()
        if name not in hidden
    }


def _plain(span: ReadableSpan, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": (span.attributes or {}).get(n.SPAN_KIND),
        "parent": names.get(span.parent.span_id) if span.parent is not None else None,
        "attributes": _without_common(span.attributes or {}),
        "status": span.status.status_code.name,
    }
