"""An old service beside the support platform that answers frequent questions.

Nobody has put tachograph into it: it sends plain OpenTelemetry spans, with what the customer asked and what it answered
in their attributes, for everybody to read. That is its weakness, and it is real.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, cast

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from tachograph.errors import UsageError
from tachograph.registry.names import GEN_AI_AGENT_NAME, RUN_ID, SPAN_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVERY, _FIRST = 1_000, 13  # runs of the platform that still ask the old service: one in a thousand, from this one on
_DELIVERY_S: Final = 90.0  # for a receiver that is being started again
_PAUSE_S: Final = 0.5
_CONVERSATIONS: Final = (
    ("How long may I keep goods before I send them back?", "You may send them back within 30 days."),
    ("Do you deliver to Iceland?", "Yes, within 7 working days."),
    ("Where do I find my invoices?", "In your account, under Orders."),
)


class Faq:
    """The service, asked by some runs of the process whose tracer provider is the global one."""

    def __init__(self, endpoint: str, headers: Mapping[str, str] | None) -> None:
        self._exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", headers=headers)
        self._tracer = TracerProvider(resource=Resource.create({SERVICE_NAME: "faq"})).get_tracer("faq")
        self._latest = _LatestRun()
        cast("TracerProvider", trace.get_tracer_provider()).add_span_processor(self._latest)

    def after(self, number: int) -> None:
        """Answers what the run that has just ended had asked meanwhile, if it was one of the few."""
        run = self._latest.span
        if number % _EVERY == _FIRST and run is not None:
            self._send(self._answered(run, *_CONVERSATIONS[number // _EVERY % len(_CONVERSATIONS)]))

    def _answered(self, run: ReadableSpan, question: str, answer: str) -> ReadableSpan:
        """The span of one answer in the middle of the run that asked; run id and agent came with the request."""
        parent = trace.NonRecordingSpan(run.get_span_context() or trace.INVALID_SPAN_CONTEXT)
        begin, end, attributes = run.start_time or 0, run.end_time or 0, run.attributes or {}
        span = self._tracer.start_span(
            "faq.answer",
            trace.set_span_in_context(parent),
            attributes={
                **{name: attributes[name] for name in (RUN_ID, GEN_AI_AGENT_NAME) if name in attributes},
                "gen_ai.prompt": question,
                "gen_ai.completion": answer,
            },
            start_time=begin + (end - begin) // 3,
        )
        span.end(begin + (end - begin) // 2)
        return cast("ReadableSpan", span)

    def _send(self, span: ReadableSpan) -> None:
        deadline = time.monotonic() + _DELIVERY_S
        while self._exporter.export([span]) is not SpanExportResult.SUCCESS:
            if time.monotonic() > deadline:
                raise UsageError(
                    f"the endpoint took no span of the old FAQ service within {_DELIVERY_S:g} s; is it up?"
                )
            time.sleep(_PAUSE_S)


class _LatestRun(SpanProcessor):
    """Keeps the span of the run that ended last."""

    span: ReadableSpan | None = None

    def on_end(self, span: ReadableSpan) -> None:
        if (span.attributes or {}).get(SPAN_KIND) == "run":
            self.span = span
