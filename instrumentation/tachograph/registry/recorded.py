"""Recorded telemetry as neutral facts, whatever it was read from: the SDK, OTLP files, a /metrics page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A span; `where` is its id in hex."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    where: str = ""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A log record; `name` is its event name, empty for a plain log line, `where` the id of its span in hex."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    where: str = ""


@dataclass(frozen=True, slots=True)
class SeriesRecord:
    """A series of a metric, under its OpenTelemetry or its Prometheus name."""

    name: str
    labels: Mapping[str, Any] = field(default_factory=dict[str, Any])
    where: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Everything that one source holds."""

    spans: tuple[SpanRecord, ...] = ()
    events: tuple[EventRecord, ...] = ()
    series: tuple[SeriesRecord, ...] = ()

    def __add__(self, other: Recorded) -> Recorded:
        """Both together."""
        return Recorded(self.spans + other.spans, self.events + other.events, self.series + other.series)


def from_sdk(span: ReadableSpan) -> SpanRecord:
    """An SDK span, for tests that hold spans in memory."""
    where = f"{span.context.span_id:016x}" if span.context is not None else ""
    return SpanRecord(span.name, dict(span.attributes or {}), where)


def from_sdk_log(record: ReadableLogRecord) -> EventRecord:
    """An SDK log record."""
    log = record.log_record
    return EventRecord(log.event_name or "", dict(log.attributes or {}), f"{log.span_id or 0:016x}")
