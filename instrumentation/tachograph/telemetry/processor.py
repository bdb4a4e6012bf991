"""Where spans and log records of a provider pass tachograph: stamped with the run, handed on to our export.

A provider keeps a processor for good, so each provider gets one `SpanTap` and one `LogTap`, made once and opened and
closed by instrument() and uninstrument().
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakKeyDictionary

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.trace import SpanProcessor
from typing_extensions import override

from tachograph.registry import names as n
from tachograph.run import current
from tachograph.telemetry.attributes import write
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import LoggerProvider, ReadWriteLogRecord
    from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider

SCOPE: Final = "tachograph"  # of our own spans and events


class SpanSink(Protocol):
    """Takes ended spans."""

    def on_end(self, span: ReadableSpan) -> None:
        """Takes one span."""
        ...


class LogSink(Protocol):
    """Takes log records."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Takes one record."""
        ...


class SpanWatch(Protocol):
    """Is told of spans that start."""

    def on_start(self, span: ReadableSpan) -> None:
        """Is told of one span."""
        ...


class SpanTap(SpanProcessor):
    """Puts the run's common attributes on every span, also those of frameworks, and hands ended spans to the sinks."""

    def __init__(self) -> None:
        self.open = False
        self.sinks: tuple[SpanSink, ...] = ()
        self.watch: SpanWatch | None = None

    @override
    @guarded("processor", None)
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if self.watch is not None:
            self.watch.on_start(span)
        scope = span.instrumentation_scope
        if scope is not None and scope.name == SCOPE:
            return  # one of ours, which gets them with its own attributes
        run = current() if self.open else None
        if run is not None and n.RUN_ID not in (span.attributes or {}):
            write(span, run.common.copy())

    @override
    @guarded("processor", None)
    def on_end(self, span: ReadableSpan) -> None:
        for sink in self.sinks:
            sink.on_end(span)


class LogTap(LogRecordProcessor):
    """Puts the run's common attributes on every log record of the host and hands records to the sinks."""

    def __init__(self) -> None:
        self.open = False
        self.sinks: tuple[LogSink, ...] = ()

    @override
    @guarded("processor", None)
    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        run, record = current() if self.open else None, log_record.log_record
        if run is not None and n.RUN_ID not in (record.attributes or {}):
            record.attributes = {**(record.attributes or {}), **run.common}  # pyright: ignore[reportAttributeAccessIssue] - plain attributes
        for sink in self.sinks:
            sink.on_emit(log_record)

    @override
    def shutdown(self) -> None:
        """Nothing is held here."""

    @override
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is held here."""
        return True


_span_taps: WeakKeyDictionary[TracerProvider, SpanTap] = WeakKeyDictionary()
_log_taps: WeakKeyDictionary[LoggerProvider, LogTap] = WeakKeyDictionary()


def span_tap(provider: TracerProvider) -> SpanTap:
    """The one tap of a tracer provider."""
    tap = _span_taps.get(provider)
    if tap is None:
        tap = _span_taps[provider] = SpanTap()
        provider.add_span_processor(tap)
    return tap


def log_tap(provider: LoggerProvider) -> LogTap:
    """The one tap of a logger provider."""
    tap = _log_taps.get(provider)
    if tap is None:
        tap = _log_taps[provider] = LogTap()
        provider.add_log_record_processor(tap)
    return tap
