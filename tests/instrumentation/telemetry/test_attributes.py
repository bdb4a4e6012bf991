from __future__ import annotations

from enum import StrEnum

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, get_current_span

from tachograph.telemetry.attributes import emit, plain, write


class Color(StrEnum):
    RED = "red"


class Clerk:
    def __str__(self) -> str:
        return "clerk-13"


SAID = {
    "text": "refund",
    "count": 13,
    "share": 0.17,
    "told": True,
    "nothing": None,
    "list": ["a", "b"],
    "scores": [0.11, 0.13],
    "tuple": ("c",),
    "nested": ["a", ["b"]],
    "enum": Color.RED,
    "bytes": b"\x13",
}


def ended(write_all: bool, limits: SpanLimits | None = None, before: int = 0) -> tuple[dict[str, object], int]:
    """What a span holds at its end, and how many attributes it dropped: written by us, or through its own API."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    span = provider.get_tracer("test").start_span("refund", attributes={f"own.{at}": at for at in range(before)})
    if write_all:
        write(span, plain(SAID))
        write(span, plain({"count": 17}))
    else:
        span.set_attributes({name: value for name, value in SAID.items() if value is not None})
        span.set_attributes({"count": 17})
    span.end()
    (found,) = spans.get_finished_spans()
    return dict(found.attributes or {}), found.dropped_attributes


@pytest.mark.parametrize(
    ("limits", "before"),
    [
        (None, 0),
        (None, 120),  # of 128 at most: the oldest go
        (SpanLimits(max_attribute_length=3), 0),
        (SpanLimits(max_span_attributes=5), 3),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_span_holds_what_its_own_api_would_have_made_of_it(limits: SpanLimits | None, before: int):
    assert ended(write_all=True, limits=limits, before=before) == ended(write_all=False, limits=limits, before=before)


def test_what_opentelemetry_does_not_know_becomes_text():
    assert plain({"clerk": Clerk(), "clerks": [Clerk()]}) == {"clerk": "clerk-13", "clerks": ("clerk-13",)}


def test_the_sdk_in_use_takes_attributes_in_one_go():
    provider = TracerProvider(shutdown_on_exit=False)
    span = provider.get_tracer("test").start_span("refund")
    asked: list[object] = []
    span.set_attributes = asked.append  # type: ignore[method-assign]
    write(span, {"count": 13})
    assert asked == []
    assert dict(span.attributes or {}) == {"count": 13}


def test_a_span_that_has_ended_stays_as_it_is():
    provider = TracerProvider(shutdown_on_exit=False)
    span = provider.get_tracer("test").start_span("refund", attributes={"count": 13})
    span.end()
    write(span, {"count": 17})
    assert dict(span.attributes or {}) == {"count": 13}


def test_a_span_that_records_nothing_takes_nothing():
    span = get_current_span()
    write(span, {"count": 13})
    assert isinstance(span, NonRecordingSpan)


def emitted(limits: LogRecordLimits | None) -> dict[str, object]:
    logs = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False, log_record_limits=limits)
    provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    emit(provider.get_logger("test"), LogRecord(event_name="refund"), plain(SAID))
    (found,) = logs.get_finished_logs()
    return dict(found.log_record.attributes or {})


def test_an_event_holds_what_its_own_api_would_have_made_of_it():
    assert emitted(None) == {name: value for name, value in ended(write_all=False)[0].items() if name != "count"} | {
        "count": 13
    }


def test_an_event_keeps_to_the_limits_of_the_application():
    assert emitted(LogRecordLimits(max_log_record_attribute_length=3))["text"] == "ref"
