"""One body of the WAL as rows of the stored tables."""

from __future__ import annotations

import hashlib
import json
import zlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tachograph.registry import load, names
from tachograph_analytics.receiver.alerts import parse as parse_alerts
from tachograph_analytics.store import otlp_json
from tachograph_analytics.store.attributes import mapping, promotion, split, text
from tachograph_analytics.store.segment import ContentType, Encoding, Record, Signal

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

    from tachograph_analytics.store.schema import Row

# What a body may become when it is unpacked: above it, it is a bomb. The receiver's cap on bodies as sent is below.
MAX_UNPACKED_BYTES = 64 * 2**20

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the store's times are UTC without a zone
_LAST_NS = 2**63 - 1
_UID = load().attributes[names.LOG_RECORD_UID].column

_Request = TypeVar("_Request", ExportTraceServiceRequest, ExportLogsServiceRequest)


def decode(record: Record) -> dict[str, list[Row]]:
    """The rows by table. Any exception means that the body cannot be decoded; then nothing of it counts."""
    body = unpack(record)
    received = _time(record.received_ns)
    match record.signal:
        case Signal.TRACES:
            return {"spans": _spans(_request(record, body, ExportTraceServiceRequest()), received)}
        case Signal.LOGS:
            return {"events": _events(_request(record, body, ExportLogsServiceRequest()), received)}
        case Signal.ALERTS:
            return {"alerts": [alert.row() | {"received_at": received} for alert in parse_alerts(body)]}


def unpack(record: Record) -> bytes:
    """The body without its compression; ValueError for a bomb or a broken stream."""
    if record.encoding is Encoding.IDENTITY:
        return record.body
    unpacked = bytearray()
    rest = record.body
    while rest:  # a gzip body may have several members
        stream = zlib.decompressobj(wbits=31)
        try:
            unpacked += stream.decompress(rest, MAX_UNPACKED_BYTES + 1 - len(unpacked))
        except zlib.error as error:
            raise ValueError(f"broken gzip: {error}") from error
        if len(unpacked) > MAX_UNPACKED_BYTES:
            raise ValueError(f"more than {MAX_UNPACKED_BYTES} bytes when unpacked")
        if not stream.eof:
            raise ValueError("truncated gzip")
        rest = stream.unused_data
    return bytes(unpacked)


def _request(record: Record, body: bytes, request: _Request) -> _Request:
    if record.content_type is ContentType.JSON:
        return otlp_json.parse(body, request)
    request.ParseFromString(body)
    return request


def _spans(request: ExportTraceServiceRequest, received: datetime | None) -> list[Row]:
    rows: list[Row] = []
    for resource_spans in request.resource_spans:
        shared, inherited = _resource(resource_spans.resource, received)
        for scope_spans in resource_spans.scope_spans:
            shared["scope"] = scope_spans.scope.name or None
            rows.extend(_span(span, shared, inherited) for span in scope_spans.spans)
    return rows


def _span(span: Span, shared: Row, inherited: Row) -> Row:
    columns, texts = split(span.attributes, inherited)
    return {
        **shared,
        **columns,
        "trace_id": _id(span.trace_id, TRACE_ID_BYTES),
        "span_id": _id(span.span_id, SPAN_ID_BYTES),
        "parent_span_id": _id(span.parent_span_id, SPAN_ID_BYTES) if span.parent_span_id else None,
        "name": span.name,
        "kind": _word(Span.SpanKind.DESCRIPTOR, span.kind, "SPAN_KIND_"),
        "start_time": _time(span.start_time_unix_nano),
        "end_time": _time(span.end_time_unix_nano),
        "duration_ns": _duration(span),
        "status_code": _word(Status.StatusCode.DESCRIPTOR, span.status.code, "STATUS_CODE_"),
        "status_message": span.status.message or None,
        "span_events": _json([_span_event(event) for event in span.events]),
        "links": _json([_link(link) for link in span.links]),
        "attributes": list(texts.items()),
    }


def _span_event(event: Span.Event) -> dict[str, Any]:
    return {
        "name": event.name,
        "time_unix_nano": event.time_unix_nano,
        "attributes": mapping(event.attributes),
    }


def _link(link: Span.Link) -> dict[str, Any]:
    return {
        "trace_id": link.trace_id.hex(),
        "span_id": link.span_id.hex(),
        "attributes": mapping(link.attributes),
    }


def _events(request: ExportLogsServiceRequest, received: datetime | None) -> list[Row]:
    rows: list[Row] = []
    for resource_logs in request.resource_logs:
        shared, inherited = _resource(resource_logs.resource, received)
        for scope_logs in resource_logs.scope_logs:
            shared["scope"] = scope_logs.scope.name or None
            rows.extend(_event(record, shared, inherited) for record in scope_logs.log_records)
    return rows


def _event(record: LogRecord, shared: Row, inherited: Row) -> Row:
    columns, texts = split(record.attributes, inherited)
    observed = _time(record.observed_time_unix_nano)
    return {
        **shared,
        **columns,
        "event_id": columns.get(_UID) or _fingerprint(record, shared["service"]),
        "event_name": record.event_name or texts.get("event.name"),
        "event_time": _time(record.time_unix_nano) or observed,
        "observed_time": observed,
        "trace_id": _id(record.trace_id, TRACE_ID_BYTES) if record.trace_id else None,
        "span_id": _id(record.span_id, SPAN_ID_BYTES) if record.span_id else None,
        "severity": record.severity_text
        or _word(SeverityNumber.DESCRIPTOR, record.severity_number, "SEVERITY_NUMBER_"),
        "body": text(record.body) if record.HasField("body") else None,
        "attributes": list(texts.items()),
    }


def _fingerprint(record: LogRecord, service: str | None) -> str:
    """The id of an event that brings none: a client that sends it again sends the very same bytes."""
    digest = hashlib.blake2b(record.SerializeToString(deterministic=True), digest_size=16)
    digest.update((service or "").encode())
    return digest.hexdigest()


def _resource(resource: Resource, received: datetime | None) -> tuple[Row, Row]:
    """What the rows of a resource share, and the common attributes that it sets for them all."""
    columns, _ = split(resource.attributes, {})
    texts = {attribute.key: text(attribute.value) for attribute in resource.attributes}
    common = {promotion().canonical[name].name for name in load().common}
    shared: Row = {
        "service": texts.get("service.name"),
        "resource": list(texts.items()),
        "received_at": received,
    }
    return shared, {name: value for name, value in columns.items() if name in common}


def _id(raw: bytes, size: int) -> str:
    if len(raw) != size or not any(raw):
        raise ValueError(f"an id of {len(raw)} bytes ({raw.hex()[:64]}) where {size} are due")
    return raw.hex()


def _time(nanoseconds: int) -> datetime | None:
    """UTC without a zone; None for 0, which OTLP means by unknown, and for what no clock says."""
    if not 0 < nanoseconds <= _LAST_NS:
        return None
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _duration(span: Span) -> int | None:
    if not 0 < span.start_time_unix_nano <= span.end_time_unix_nano <= _LAST_NS:
        return None
    return span.end_time_unix_nano - span.start_time_unix_nano


def _word(enumeration: EnumDescriptor, number: int, prefix: str) -> str:
    """The enumeration's word, or the number of one that is newer than ours."""
    found = enumeration.values_by_number.get(number)
    return found.name.removeprefix(prefix).lower() if found else str(number)


def _json(items: list[dict[str, Any]]) -> str | None:
    return json.dumps(items, ensure_ascii=False) if items else None
