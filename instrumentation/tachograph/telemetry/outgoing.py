"""What leaves the process: redacted copies of ended spans and log records. The host's own objects are never changed."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status

from tachograph.registry.names import CONTENT_STATE
from tachograph.telemetry.content import CONTENT_EVENTS
from tachograph.telemetry.redaction import DEFAULT, Redaction, redact, redact_attributes, redact_value

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_RESOURCES = 64  # bound of memory; a process has one resource, or a few

_resources: dict[int, tuple[Resource, Redaction, Resource]] = {}  # by identity: hashing a resource writes it as JSON


def outgoing_resource(resource: Resource, redaction: Redaction = DEFAULT) -> Resource:
    """A redacted copy of `resource`: the same copy each time for the same object."""
    known = _resources.get(id(resource))
    if known is None or known[1] is not redaction:
        if len(_resources) >= _MOST_RESOURCES:
            _resources.clear()
        attributes = redact_attributes(resource.attributes, content=True, redaction=redaction)
        known = (resource, redaction, Resource(attributes, resource.schema_url))
        _resources[id(resource)] = known
    return known[2]


def outgoing_span(span: ReadableSpan, *, content: bool = False, redaction: Redaction = DEFAULT) -> ReadableSpan:
    """A copy of `span` with name, attributes, events, links and status redacted; content dropped unless it is on.

    A span whose content was kept says so: its `tachograph.content.state` is `redacted` unless it has one.
    """
    attributes = redact_attributes(span.attributes, content=content, redaction=redaction)
    if content and CONTENT_STATE not in attributes and any(map(redaction.is_content, attributes)):
        attributes[CONTENT_STATE] = "redacted"
    return ReadableSpan(
        name=redact(span.name, redaction).text,
        context=span.context,
        parent=span.parent,
        resource=outgoing_resource(span.resource, redaction),
        attributes=_counted(attributes, span.dropped_attributes),
        events=[_event(event, content, redaction) for event in span.events],
        links=[_link(link, content, redaction) for link in span.links],
        kind=span.kind,
        status=_status(span.status, redaction),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def outgoing_log(
    record: ReadableLogRecord, *, content: bool = False, redaction: Redaction = DEFAULT
) -> ReadableLogRecord:
    """A copy of `record` with attributes and body redacted; an event that is content loses both unless it is on."""
    inner = copy.copy(record.log_record)
    attributes = redact_attributes(inner.attributes, content=content, redaction=redaction)
    if inner.event_name in CONTENT_EVENTS and not content:
        inner.body = None
        attributes = _without_content(attributes)
    else:
        inner.body = redact_value(inner.body, redaction)
    inner.attributes = _counted(attributes, record.dropped_attributes)
    resource = outgoing_resource(record.resource, redaction)
    return ReadableLogRecord(inner, resource, record.instrumentation_scope, record.limits)


def _event(event: Event, content: bool, redaction: Redaction) -> Event:
    attributes = redact_attributes(event.attributes, content=content, redaction=redaction)
    if event.name in CONTENT_EVENTS and not content:
        attributes = _without_content(attributes)
    return Event(redact(event.name, redaction).text, _counted(attributes, event.dropped_attributes), event.timestamp)


def _without_content(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if key.startswith(("gen_ai.", "tachograph."))}


def _link(link: Link, content: bool, redaction: Redaction) -> Link:
    if not link.attributes:
        return link
    return Link(link.context, redact_attributes(link.attributes, content=content, redaction=redaction))


def _status(status: Status, redaction: Redaction) -> Status:
    if not status.description:
        return status
    return Status(status.status_code, redact(status.description, redaction).text)


def _counted(attributes: dict[str, Any], dropped: int) -> Mapping[str, Any]:
    """The attributes, with the host's own count of attributes that its limits dropped."""
    if not dropped:
        return attributes
    bounded = BoundedAttributes(attributes=attributes, immutable=False)
    bounded.dropped = dropped
    return bounded
