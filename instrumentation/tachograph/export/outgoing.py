"""What leaves the process: redacted copies of ended spans and log records. The host's own objects are never changed.

Attributes of ours were redacted before they existed; here that happens to everything else: native spans of frameworks,
messages of exceptions, log records of the host.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import Metric, MetricsData, ResourceMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status

from tachograph.privacy.content import CONTENT_EVENTS, IDENTIFIERS, NAMED_BELOW, NAMES, PERSONS, REASONS
from tachograph.privacy.identity import NAME_LENGTH, identifier, name, person
from tachograph.privacy.redaction import DEFAULT, Redaction, hide, redact, redact_json, redact_value
from tachograph.privacy.withholding import frames, type_of, withheld, without_free_text, without_text
from tachograph.registry.names import CONTENT_STATE, ERROR_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tachograph.config import Capture

_MOST_RESOURCES = 64  # bound of memory; a process has one resource, or a few
_EXCEPTION_TYPE, _MESSAGE, _STACKTRACE = "exception.type", "exception.message", "exception.stacktrace"

_resources: dict[tuple[int, str], tuple[Resource, Redaction, Resource]] = {}  # by id(): a hash writes it all as JSON


def outgoing_resource(resource: Resource, redaction: Redaction = DEFAULT, capture: Capture = "off") -> Resource:
    """A redacted copy of `resource`: the same copy each time for the same object."""
    known = _resources.get((id(resource), capture))
    if known is None or known[1] is not redaction:
        if len(_resources) >= _MOST_RESOURCES:
            _resources.clear()
        attributes = outgoing_attributes(resource.attributes, capture=capture, redaction=redaction)
        known = (resource, redaction, Resource(attributes, resource.schema_url))
        _resources[id(resource), capture] = known
    return known[2]


def outgoing_span(span: ReadableSpan, *, capture: Capture = "off", redaction: Redaction = DEFAULT) -> ReadableSpan:
    """A copy of `span` with name, attributes, events, links and status redacted; content as `capture` says.

    A span whose content was kept says so: its `tachograph.content.state` is `redacted` or `raw` unless it has one.
    """
    attributes = outgoing_attributes(span.attributes, capture=capture, redaction=redaction)
    if capture != "off" and CONTENT_STATE not in attributes and any(map(redaction.is_content, attributes)):
        attributes[CONTENT_STATE] = "raw" if capture == "full" else "redacted"
    return ReadableSpan(
        name=name(span.name),
        context=span.context,
        parent=span.parent,
        resource=outgoing_resource(span.resource, redaction, capture),
        attributes=_counted(attributes, span.dropped_attributes),
        events=[_event(event, capture, redaction) for event in span.events],
        links=[_link(link, capture, redaction) for link in span.links],
        kind=span.kind,
        status=_status(span, capture, redaction),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
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
    elif inner.event_name not in CONTENT_EVENTS or capture != "full":
        inner.body = redact_value(without_text(inner.body) if capture == "off" else inner.body, redaction)
    inner.event_name = name(inner.event_name) if inner.event_name else inner.event_name
    inner.attributes = _counted(attributes, record.dropped_attributes)
    resource = outgoing_resource(record.resource, redaction, capture)
    return ReadableLogRecord(inner, resource, record.instrumentation_scope, record.limits)


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
                kept[key] = value if capture == "full" else _content(key, value, redaction)
        elif key in REASONS:
            kept[key] = without_free_text(value) if capture == "off" else redact_value(value, redaction)
        elif key.startswith(NAMED_BELOW):
            kept[key] = _each(value, _name if capture == "off" else name)
        else:
            said = value if capture != "off" or key in NAMES else _text_withheld(key, value)
            kept[redact(key, redaction).text] = hide(key, said, redaction)
    return kept


def _name(text: str) -> str:
    return name(text) if len(text) <= NAME_LENGTH else withheld(text)


def outgoing_labels(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Labels of a metric, the host's own too: a value that holds a secret becomes a hash, so that series stay apart."""
    return {name(key): _each(value, identifier) for key, value in (attributes or {}).items()}


def outgoing_metrics(data: MetricsData) -> MetricsData:
    """A copy of collected metrics with labels and resources redacted; exemplars' filtered attributes are left out."""
    return MetricsData([_metrics(one) for one in data.resource_metrics])


def _metrics(one: ResourceMetrics) -> ResourceMetrics:
    scopes = [replace(scope, metrics=[_metric(metric) for metric in scope.metrics]) for scope in one.scope_metrics]
    return replace(one, resource=outgoing_resource(one.resource), scope_metrics=scopes)


def _metric(metric: Metric) -> Metric:
    points: Any = [
        replace(
            point,
            attributes=outgoing_labels(point.attributes),
            exemplars=[replace(exemplar, filtered_attributes={}) for exemplar in point.exemplars],
        )
        for point in metric.data.data_points
    ]
    return replace(metric, data=replace(metric.data, data_points=points))


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(_each(one, change) for one in cast("Sequence[Any]", value))
    return value if isinstance(value, bool | int | float | None) else redact_value(value)


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
    return {key: value for key, value in attributes.items() if key.startswith(NAMED_BELOW)}


def _link(link: Link, capture: Capture, redaction: Redaction) -> Link:
    if not link.attributes:
        return link
    return Link(link.context, outgoing_attributes(link.attributes, capture=capture, redaction=redaction))


def _status(span: ReadableSpan, capture: Capture, redaction: Redaction) -> Status:
    status, description = span.status, span.status.description
    if not description:
        return status
    if capture == "off":
        said = [(span.attributes or {}).get(ERROR_TYPE)]
        said += [(event.attributes or {}).get(_EXCEPTION_TYPE) for event in span.events]
        return Status(status.status_code, type_of(description, _short(said)) or without_free_text(description))
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
