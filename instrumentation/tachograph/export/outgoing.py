"""What leaves the process: redacted copies of ended spans and log records. The host's own objects are never changed.

Attributes of ours were redacted before they existed; here that happens to everything else: native spans of frameworks,
messages of exceptions, log records of the host.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import Metric, MetricsData, ResourceMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, TraceState

from tachograph.privacy.content import (
    BESIDE_CONTENT,
    CONTENT_EVENTS,
    DECLARED,
    IDENTIFIERS,
    NAMED_BELOW,
    NAMES,
    PERSONS,
    REASONS,
)
from tachograph.privacy.identity import NAME_LENGTH, identifier, name, person
from tachograph.privacy.redaction import DEFAULT, Redaction, encodable, hide, redact, redact_json, redact_value
from tachograph.privacy.withholding import frames, type_of, withheld, without_free_text, without_text
from tachograph.registry.names import CONTENT_STATE, ERROR_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.config import Capture

_MOST_RESOURCES = 64  # bound of memory; a process has one resource, or a few
_EXCEPTION_TYPE, _MESSAGE, _STACKTRACE = "exception.type", "exception.message", "exception.stacktrace"

# By id(), as a hash writes it all as JSON; traces, logs and metrics may each have a redaction of their own.
_resources: dict[tuple[int, int, str], tuple[Resource, Redaction, Resource]] = {}


def outgoing_resource(resource: Resource, redaction: Redaction = DEFAULT, capture: Capture = "off") -> Resource:
    """A redacted copy of `resource`: the same copy each time for the same object."""
    known = _resources.get((id(resource), id(redaction), capture))
    if known is None:  # else both are held here, so nobody else has their ids
        if len(_resources) >= _MOST_RESOURCES:
            _resources.clear()
        attributes = outgoing_attributes(resource.attributes, capture=capture, redaction=redaction)
        known = (resource, redaction, Resource(attributes, resource.schema_url))
        _resources[id(resource), id(redaction), capture] = known
    return known[2]


def outgoing_scope(
    scope: InstrumentationScope | None, redaction: Redaction = DEFAULT, capture: Capture = "off"
) -> InstrumentationScope | None:
    """A redacted copy of who recorded something, which the host may have given attributes; equal for equal scopes."""
    if scope is None or (not scope.attributes and name(scope.name) == scope.name and not scope.version):
        return scope
    attributes = outgoing_attributes(scope.attributes, capture=capture, redaction=redaction)
    version = scope.version and name(scope.version)
    return InstrumentationScope(name(scope.name), version, scope.schema_url, attributes)


def outgoing_context(context: SpanContext | None) -> SpanContext | None:
    """The context without the entries of its trace state that hold a secret: whoever called may have written them."""
    if context is None or not context.trace_state:
        return context
    kept = [pair for pair in context.trace_state.items() if tuple(map(name, pair)) == pair]
    if len(kept) == len(context.trace_state):
        return context
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, TraceState(kept))


def outgoing_span(span: ReadableSpan, *, capture: Capture = "off", redaction: Redaction = DEFAULT) -> ReadableSpan:
    """A copy of `span` with name, attributes, events, links and status redacted; content as `capture` says.

    A span whose content was kept says so: its `tachograph.content.state` is `redacted` or `raw` unless it has one.
    """
    attributes = outgoing_attributes(span.attributes, capture=capture, redaction=redaction)
    if capture != "off" and CONTENT_STATE not in attributes and any(map(redaction.is_content, attributes)):
        attributes[CONTENT_STATE] = "raw" if capture == "full" else "redacted"
    return ReadableSpan(
        name=name(span.name),
        context=outgoing_context(span.context),
        parent=outgoing_context(span.parent),
        resource=outgoing_resource(span.resource, redaction, capture),
        attributes=_counted(attributes, span.dropped_attributes),
        events=[_event(event, capture, redaction) for event in span.events],
        links=[_link(link, capture, redaction) for link in span.links],
        kind=span.kind,
        status=_status(span, capture, redaction),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=outgoing_scope(span.instrumentation_scope, redaction, capture),
    )


def outgoing_log(
    record: ReadableLogRecord, *, capture: Capture = "off", redaction: Redaction = DEFAULT
) -> ReadableLogRecord:
    """A copy of `record` with attributes and body redacted; while capture is off the body is sizes and key names."""
    inner = copy.copy(record.log_record)
    attributes = outgoing_attributes(inner.attributes, capture=capture, redaction=redaction)
    if inner.event_name in CONTENT_EVENTS and capture == "off":
        inner.body = None
        attributes = _without_content(attributes)
    elif inner.event_name in CONTENT_EVENTS and capture == "full":
        inner.body = _encodable(inner.body)
    else:
        inner.body = redact_value(without_text(inner.body) if capture == "off" else inner.body, redaction)
    inner.severity_text = name(inner.severity_text) if inner.severity_text else inner.severity_text
    inner.event_name = name(inner.event_name) if inner.event_name else inner.event_name
    inner.attributes = _counted(attributes, record.dropped_attributes)
    resource = outgoing_resource(record.resource, redaction, capture)
    scope = outgoing_scope(record.instrumentation_scope, redaction, capture)
    return ReadableLogRecord(inner, resource, scope, record.limits)


def outgoing_attributes(
    attributes: Mapping[str, Any] | None, *, capture: Capture = "off", redaction: Redaction = DEFAULT
) -> dict[str, Any]:
    """A redacted copy of span, event, log or resource attributes.

    Content is dropped while `capture` is off, redacted under `redacted`, as it is under `full`. Ids that hold a secret
    and ids of persons become hashes. While it is off, free text in any other attribute is withheld.
    """
    kept: dict[str, Any] = {}
    for key, value in (attributes or {}).items():
        if key in IDENTIFIERS:
            kept[key] = _each(value, lambda text: identifier(text, redaction.hash_key))
        elif key in PERSONS:
            kept[key] = _each(value, lambda text: person(text, redaction.hash_key))
        elif redaction.is_content(key):
            if capture != "off":
                kept[key] = _encodable(value) if capture == "full" else _content(key, value, redaction)
        elif key in REASONS:
            kept[key] = without_free_text(value) if capture == "off" else redact_value(value, redaction)
        elif key in DECLARED:
            kept[key] = _each(value, _name if capture == "off" else name)
        else:
            said = value if capture != "off" or key in NAMES else _text_withheld(key, value)
            kept[redact(key, redaction).text] = hide(key, said, redaction)
    return kept


def _name(text: str) -> str:
    return name(text) if len(text) <= NAME_LENGTH else withheld(text)


def outgoing_labels(attributes: Mapping[str, Any] | None, redaction: Redaction = DEFAULT) -> dict[str, Any]:
    """Labels of a metric, the host's own too: a value that holds a secret becomes a hash, so that series stay apart.

    Ids of persons become the hashes that they are on spans.
    """
    kept: dict[str, Any] = {}
    for key, value in (attributes or {}).items():
        hashed = person if key in PERSONS else identifier
        kept[name(key)] = _each(value, partial(hashed, key=redaction.hash_key))
    return kept


def outgoing_metrics(data: MetricsData, redaction: Redaction = DEFAULT) -> MetricsData:
    """A copy of collected metrics with labels and resources redacted; exemplars' filtered attributes are left out."""
    return MetricsData([_metrics(one, redaction) for one in data.resource_metrics])


def _metrics(one: ResourceMetrics, redaction: Redaction) -> ResourceMetrics:
    scopes = [
        replace(
            each,
            scope=outgoing_scope(each.scope, redaction),
            metrics=[_metric(metric, redaction) for metric in each.metrics],
        )
        for each in one.scope_metrics
    ]
    return replace(one, resource=outgoing_resource(one.resource, redaction), scope_metrics=scopes)


def _metric(metric: Metric, redaction: Redaction) -> Metric:
    points: Any = [
        replace(
            point,
            attributes=outgoing_labels(point.attributes, redaction),
            exemplars=[replace(exemplar, filtered_attributes={}) for exemplar in point.exemplars],
        )
        for point in metric.data.data_points
    ]
    said = metric.description and name(metric.description)
    return replace(metric, description=said, data=replace(metric.data, data_points=points))


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(_each(one, change) for one in cast("Sequence[Any]", value))
    return value if isinstance(value, bool | int | float | None) else redact_value(value)


def _encodable(value: Any) -> Any:
    """Raw content, but for what would cost the whole batch."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {encodable(key) if isinstance(key, str) else key: _encodable(part) for key, part in pairs}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(_encodable(part) for part in cast("Sequence[Any]", value))
    return value


def _content(key: str, value: Any, redaction: Redaction) -> Any:
    return redact_json(value, redaction) if isinstance(value, str) else hide(key, value, redaction)


def _text_withheld(key: str, value: Any) -> Any:
    if key == _STACKTRACE and isinstance(value, str):
        return frames(value)
    return withheld(value) if key == _MESSAGE and isinstance(value, str) else without_free_text(value)


def _event(event: Event, capture: Capture, redaction: Redaction) -> Event:
    attributes = outgoing_attributes(event.attributes, capture=capture, redaction=redaction)
    if event.name in CONTENT_EVENTS and capture == "off":
        attributes = _without_content(attributes)
    return Event(name(event.name), _counted(attributes, event.dropped_attributes), event.timestamp)


def _without_content(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in attributes.items()
        if key in BESIDE_CONTENT or (key.startswith(NAMED_BELOW) and isinstance(value, bool | int | float))
    }


def _link(link: Link, capture: Capture, redaction: Redaction) -> Link:
    context = outgoing_context(link.context) or link.context
    return Link(context, outgoing_attributes(link.attributes, capture=capture, redaction=redaction))


def _status(span: ReadableSpan, capture: Capture, redaction: Redaction) -> Status:
    status, description = span.status, span.status.description
    if not description:
        return status
    if capture == "off":
        said = [(span.attributes or {}).get(ERROR_TYPE)]
        said += [(event.attributes or {}).get(_EXCEPTION_TYPE) for event in span.events]
        return Status(status.status_code, name(type_of(description, _short(said)) or without_free_text(description)))
    return Status(status.status_code, redact(description, redaction).text)


def _short(types: list[Any]) -> frozenset[str]:
    """The types as they are said and without their module, which a status leaves out."""
    known = [each for each in types if isinstance(each, str)]
    return frozenset((*known, *(each.rpartition(".")[2] for each in known)))


def _counted(attributes: dict[str, Any], dropped: int) -> Mapping[str, Any]:
    """The attributes, with the host's own count of attributes that its limits dropped."""
    if not dropped:
        return attributes
    bounded = BoundedAttributes(attributes=attributes, immutable=False)
    bounded.dropped = dropped
    return bounded
