"""The sample rate on what leaves: sums over 1 / rate then estimate what there was."""

from __future__ import annotations

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import ReadableSpan

from tachograph.registry import names as n
from tachograph.telemetry.guard import failed


def stamped(span: ReadableSpan, rate: float, head_rate: float | None, *, every_span: bool) -> ReadableSpan:
    """A copy of the span with its rate on it; the span itself where it says so already or needs none.

    The span of a run needs one, and each span of a trace in which no run began (`every_span`). A provider's sampler
    that begins `head_rate` of all traces looks at the same bits as ours does, so the lower rate of the two holds; None
    is one that cannot be asked. A span that cannot be copied leaves without its rate.
    """
    try:
        attributes = span.attributes or {}
        if not every_span and attributes.get(n.SPAN_KIND) != "run":
            return span
        if head_rate is None and rate >= 1:
            return span
        share = rate if head_rate is None else min(rate, head_rate)
        return span if attributes.get(n.SAMPLE_RATE) == share else _with_rate(span, share)
    except Exception as error:  # noqa: BLE001 - a span without its rate is better than none
        failed("processor", error)
        return span


def _with_rate(span: ReadableSpan, rate: float) -> ReadableSpan:
    attributes = BoundedAttributes(attributes={**(span.attributes or {}), n.SAMPLE_RATE: rate}, immutable=False)
    attributes.dropped = span.dropped_attributes
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=span.events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
