"""Spans that are started from a template are those that the SDK's tracer starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState
from typing_extensions import override

from tachograph.telemetry.spans import Spans

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span


class CountingIds(RandomIdGenerator):
    """Ids in a row, so that two ways to start a span can be compared."""

    def __init__(self, *, random: bool) -> None:
        self._next, self._random = 10, random

    @override
    def generate_span_id(self) -> int:
        self._next += 1
        return self._next

    @override
    def generate_trace_id(self) -> int:
        self._next += 1
        return self._next

    @override
    def is_trace_id_random(self) -> bool:
        return self._random


class Started(SpanProcessor):
    """What a processor is told when a span starts."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int | None, Context | None]] = []

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.seen.append((span.name, span.start_time, parent_context))


PARENTS = {
    "none": None,
    "kept": SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(0x01)),
    "kept, with a random id": SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(0x03)),
    "of another service": SpanContext(7, 9, True, TraceFlags(0x01), TraceState([("vendor", "13")])),
    "not kept": SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(0x00)),
    "not kept, with a random id": SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(0x02)),
    "invalid": SpanContext(0, 9, is_remote=True, trace_flags=TraceFlags(0x01)),
}
SAMPLERS = {"always": ALWAYS_ON, "as the parent": DEFAULT_ON, "never": ALWAYS_OFF, "a half": TraceIdRatioBased(0.5)}


def played(quick: bool, sampler: Any, parent: SpanContext | None, *, random: bool = True) -> list[object]:
    """Everything that can be seen of two spans, one inside of the other, started by template or by tracer."""
    exporter, started = InMemorySpanExporter(), Started()
    provider = TracerProvider(
        sampler,
        Resource({"service.name": "desk"}),
        id_generator=CountingIds(random=random),
        span_limits=SpanLimits(max_events=3, max_links=2, max_span_attributes=5),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(started)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("desk", "1.3", schema_url="https://desk.example/1.3", attributes={"team": "returns"})
    spans = Spans(tracer)

    def start(name: str, kind: SpanKind, at: int) -> trace.Span:
        return spans.start(name, kind, at) if quick else tracer.start_span(name, kind=kind, start_time=at)

    current = NonRecordingSpan(parent) if parent is not None else trace.INVALID_SPAN
    with trace.use_span(current):
        outer = start("outer", SpanKind.INTERNAL, 1_100)
        with trace.use_span(outer):
            inner = start("inner", SpanKind.CLIENT, 1_300)
            for number in range(7):
                inner.set_attribute(f"number.{number}", number)
                inner.add_event(f"event {number}", {"number": number}, timestamp=1_310 + number)
                inner.add_link(SpanContext(11, 13 + number, is_remote=False))
            inner.set_status(trace.StatusCode.ERROR, "refused")
            inner.record_exception(LookupError("gone"), timestamp=1_350)
            inner.update_name("renamed")
            inner.end(1_700)
        outer.end(1_900)
    contexts = [(span.get_span_context(), span.is_recording(), type(span)) for span in (outer, inner)]
    return [contexts, started.seen, [facts(span) for span in exporter.get_finished_spans()]]


def facts(span: ReadableSpan) -> dict[str, object]:
    return {
        "json": span.to_json(),
        "fields": sorted(vars(span)),
        "parent": span.parent,
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "scope": span.instrumentation_scope,
    }


@pytest.fixture(autouse=True)
def _same_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("traceback.format_exception", lambda *_: ["a traceback"])


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_span_is_the_same_either_way(sampler: str, parent: str):
    expected = played(False, SAMPLERS[sampler], PARENTS[parent])
    assert played(True, SAMPLERS[sampler], PARENTS[parent]) == expected


def test_ids_of_a_generator_that_is_not_random_say_so():
    expected = played(False, DEFAULT_ON, None, random=False)
    assert played(True, DEFAULT_ON, None, random=False) == expected
    assert played(True, DEFAULT_ON, None, random=True) != expected


def test_the_template_is_used_with_the_sdk_that_is_installed(monkeypatch: pytest.MonkeyPatch):
    spans = Spans(TracerProvider(shutdown_on_exit=False).get_tracer("desk"))
    monkeypatch.setattr(spans.tracer, "start_span", None)  # nobody needs it
    assert spans.start("look up", SpanKind.INTERNAL, 1_100).is_recording()
    with pytest.raises(TypeError):
        spans.start("look up", SpanKind.INTERNAL, 1_100, {"seen": "by the sampler"})


def asked(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the tracer itself starts the next span."""
    calls: list[str] = []
    start = spans.tracer.start_span
    monkeypatch.setattr(spans.tracer, "start_span", lambda name, **said: (calls.append(name), start(name, **said))[1])
    spans.start("look up", SpanKind.INTERNAL, 1_100)
    return calls == ["look up"]


@pytest.mark.parametrize(
    "sampler", [ALWAYS_OFF, TraceIdRatioBased(1.0), ParentBased(TraceIdRatioBased(0.5)), ParentBased(ALWAYS_ON)]
)
def test_a_sampler_that_has_to_be_asked_is_asked(sampler: Any, monkeypatch: pytest.MonkeyPatch):
    assert asked(Spans(TracerProvider(sampler, shutdown_on_exit=False).get_tracer("desk")), monkeypatch)


def test_a_tracer_that_changes_is_asked(monkeypatch: pytest.MonkeyPatch):
    spans = [Spans(TracerProvider(shutdown_on_exit=False).get_tracer("desk")) for _ in range(4)]
    same, sampled, switched_off, elsewhere = [(each, each.tracer) for each in spans]
    monkeypatch.setattr(sampled[1], "sampler", ALWAYS_OFF)
    monkeypatch.setattr(switched_off[1], "_tracer_config", type(switched_off[1]._tracer_config)(is_enabled=False))
    monkeypatch.setattr(elsewhere[1], "resource", Resource({"service.name": "other"}))
    found = [asked(each, monkeypatch) for each, _ in (same, sampled, switched_off, elsewhere)]
    assert found == [False, True, True, True]


def test_a_tracer_of_another_make_is_asked(monkeypatch: pytest.MonkeyPatch):
    assert asked(Spans(trace.NoOpTracer()), monkeypatch)


def test_a_tracer_that_counts_its_spans_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    assert asked(Spans(TracerProvider(shutdown_on_exit=False).get_tracer("desk")), monkeypatch)


@pytest.mark.parametrize("field", ["_events", "_a_new_one"])
def test_an_sdk_whose_spans_have_other_fields_is_asked(field: str, monkeypatch: pytest.MonkeyPatch):
    from opentelemetry.sdk import trace as sdk

    init = sdk._Span.__init__

    def other(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        setattr(self, field, None) if field == "_a_new_one" else delattr(self, field)

    monkeypatch.setattr(sdk._Span, "__init__", other)
    spans = Spans(TracerProvider(shutdown_on_exit=False).get_tracer("desk"))
    assert spans._template is None
