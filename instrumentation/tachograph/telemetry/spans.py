"""Starts spans of our own: the SDK's spans, made in half of the time that its tracer takes.

A tracer asks its sampler, which looks for the parent once more, and fills a span through constructors that check what
ours never have when they start: attributes, links, events. Here the fields of one such span are copied, and those of
its own put in. Where the tracer is not the SDK's as it is known here, or would do more than that, it does it itself.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, SpanKind, TraceFlags, get_current_span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import Tracer as SdkTracer
    from opentelemetry.trace import Span, Tracer

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SAMPLED_AND_RANDOM: Final = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
_KEPT: Final = frozenset({int(_SAMPLED), int(_SAMPLED_AND_RANDOM)})

# The fields of the SDK's spans: those that all of one tracer have in common when they start, those that each has
# itself, and those of its attributes.
_SHARED: Final = frozenset(
    {
        "_end_time", "_instrumentation_info", "_instrumentation_scope", "_limits", "_record_end_metrics",
        "_record_exception", "_resource", "_sampler", "_set_status_on_exception", "_span_processor", "_status",
        "_trace_config",
    }
)  # fmt: skip
_OWN: Final = frozenset(
    {"_attributes", "_context", "_events", "_kind", "_links", "_lock", "_name", "_parent", "_start_time"}
)
_OF_ATTRIBUTES: Final = frozenset({"_dict", "_immutable", "_lock", "dropped", "max_value_len", "maxlen"})


class Spans:
    """Starts the spans of one tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._template = _template(tracer)

    def start(self, name: str, kind: SpanKind, started: int, attributes: Mapping[str, Any] | None = None) -> Span:
        """A span below the current one; `started` is in nanoseconds since 1970."""
        if self._template is not None and not attributes:
            span = self._template.start(name, kind, started, get_current_span().get_span_context())
            if span is not None:
                return span
        return self.tracer.start_span(name, kind=kind, attributes=attributes, start_time=started)


class _Template:
    """What all spans have in common that an SDK's tracer starts below a caller that keeps its trace, or below none."""

    def __init__(self, tracer: SdkTracer, span: Any) -> None:
        attributes: Any = span._attributes  # noqa: SLF001 - see the module's docstring
        self._tracer = tracer
        self._sampler, self._resource = tracer.sampler, tracer.resource
        self._fields: dict[str, Any] = vars(span)
        self._of_attributes: dict[str, Any] = vars(attributes)
        self._made, self._bounded, self._listed = _class(span), _class(attributes), _class(span._events)  # noqa: SLF001 - as above
        self._most_events, self._most_links = span._limits.max_events, span._limits.max_links  # noqa: SLF001 - as above

    def start(self, name: str, kind: SpanKind, started: int, parent: SpanContext) -> Span | None:
        """A span like the template; None where the tracer is not as it was, or `parent` asks for another one."""
        tracer = self._tracer
        changed = tracer.sampler is not self._sampler or tracer.resource is not self._resource
        if changed or not tracer._tracer_config.is_enabled:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as above
            return None
        ids = tracer.id_generator
        if not parent.is_valid:
            flags = _SAMPLED_AND_RANDOM if ids.is_trace_id_random() else _SAMPLED
            context, above = SpanContext(ids.generate_trace_id(), ids.generate_span_id(), False, flags), None
        elif (flags := parent.trace_flags) in _KEPT:
            above = parent
            context = SpanContext(parent.trace_id, ids.generate_span_id(), False, flags, parent.trace_state)
        else:
            return None
        attributes, span = object.__new__(self._bounded), object.__new__(self._made)
        attributes.__dict__ = {**self._of_attributes, "_dict": {}, "_lock": threading.Lock()}
        span.__dict__ = {
            **self._fields,
            "_name": name,
            "_context": context,
            "_kind": kind,
            "_parent": above,
            "_start_time": started,
            "_lock": threading.Lock(),
            "_attributes": attributes,
            "_events": self._listed(self._most_events),
            "_links": self._listed(self._most_links),
        }
        tracer.span_processor.on_start(span, parent_context=None)
        return span


def _template(tracer: Tracer) -> _Template | None:
    """None for a tracer that has to start each span itself."""
    from opentelemetry.sdk.trace import Tracer as SdkTracer
    from opentelemetry.sdk.trace import _Span  # pyright: ignore[reportPrivateUsage] - see the module's docstring
    from opentelemetry.sdk.trace._tracer_metrics import NoOpTracerMetrics
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON

    if type(tracer) is not SdkTracer or not (tracer.sampler is ALWAYS_ON or tracer.sampler is DEFAULT_ON):
        return None
    inside: Any = tracer
    if type(inside._tracer_metrics) is not NoOpTracerMetrics:  # noqa: SLF001 - else it counts what it starts
        return None
    span: Any = _Span(
        "",
        INVALID_SPAN_CONTEXT,
        sampler=tracer.sampler,
        resource=tracer.resource,
        span_processor=tracer.span_processor,
        instrumentation_info=tracer.instrumentation_info,
        limits=inside._span_limits,  # noqa: SLF001 - as above
        instrumentation_scope=inside._instrumentation_scope,  # noqa: SLF001 - as above
    )
    known = _fields(span) == _SHARED | _OWN and _fields(span._attributes) == _OF_ATTRIBUTES  # noqa: SLF001 - as above
    return _Template(tracer, span) if known else None


def _fields(of: Any) -> frozenset[str]:
    held: dict[str, Any] = of.__dict__
    return frozenset(held)


def _class(of: Any) -> Any:
    return of.__class__
