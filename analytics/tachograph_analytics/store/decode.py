"""One body of the WAL as rows of the stored tables."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, field, replace
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
    from collections.abc import Iterable

    from google.protobuf.descriptor import EnumDescriptor
    from google.protobuf.message import Message
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

    from tachograph_analytics.store.schema import Row

# What a body may become when it is unpacked: above it, it is a bomb. The receiver's cap on bodies as sent is below.
MAX_UNPACKED_BYTES = 64 * 2**20

# Spans or log records of a body. Two bytes of it can be a span and a span's row takes some 2 KB: this many are 400 MB,
# twenty times what the Collector sends at once by default (8,192) and more.
MAX_ITEMS = 200_000

# What is said once of a resource and a scope stands in each of their rows: all rows together, in bytes as sent.
MAX_REPEATED_BYTES = 256 * 2**20

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the store's times are UTC without a zone
_LAST_NS = 2**63 - 1
_NAMED = 11  # numbers of refused spans that a reason names
_UID = load().attributes[names.LOG_RECORD_UID].column

_Request = TypeVar("_Request", ExportTraceServiceRequest, ExportLogsServiceRequest)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The rows of a body by table, and the spans that cannot be any: as a request of their own, with the reason."""

    rows: dict[str, list[Row]]
    aside: tuple[Record, str] | None = None


def decode(record: Record) -> Decoded:
    """What the body holds. Any exception means that it cannot be decoded; then nothing of it counts."""
    body = unpack(record)
    received = _time(record.received_ns)
    match record.signal:
        case Signal.TRACES:
            request = _request(record, body, ExportTraceServiceRequest())
            refused = _Refused()
            return Decoded({"spans": _spans(request, received, refused)}, refused.aside(record))
        case Signal.LOGS:
            return Decoded({"events": _events(_request(record, body, ExportLogsServiceRequest()), received)})
        case Signal.ALERTS:
            return Decoded({"alerts": [alert.row() | {"received_at": received} for alert in parse_alerts(body)]})


@dataclass(slots=True)
class _Refused:
    """The spans of a request that have no usable id, by their number in it."""

    numbers: list[int] = field(default_factory=list[int])
    request: ExportTraceServiceRequest = field(default_factory=ExportTraceServiceRequest)

    def add(self, number: int, span: Span, resource_spans: ResourceSpans, scope_spans: ScopeSpans) -> None:
        """Keeps a span; what its resource and scope said stands before the first of them."""
        last = self.request.resource_spans[-1] if self.request.resource_spans else None
        if last is None or last.resource != resource_spans.resource:
            last = self.request.resource_spans.add(resource=resource_spans.resource)
        if not last.scope_spans or last.scope_spans[-1].scope != scope_spans.scope:
            last.scope_spans.add(scope=scope_spans.scope)
        last.scope_spans[-1].spans.append(span)
        self.numbers.append(number)

    def aside(self, record: Record) -> tuple[Record, str] | None:
        """The request of these spans alone, in protobuf; None if there are none."""
        if not self.numbers:
            return None
        named = ", ".join(map(str, self.numbers[:_NAMED])) + (", …" if len(self.numbers) > _NAMED else "")
        body = self.request.SerializeToString()
        alone = replace(record, encoding=Encoding.IDENTITY, content_type=ContentType.PROTOBUF, body=body)
        return alone, f"{len(self.numbers)} spans without a valid trace and span id: number {named} of the request"


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


def _check_items(counted: Iterable[tuple[Message, Message, int]]) -> None:
    """ValueError if the rows would be too many or too large; each count comes with its resource and scope."""
    items = repeated = 0
    for resource, scope, count in counted:
        items += count
        repeated += count * (resource.ByteSize() + scope.ByteSize()) if count else 0
    if items > MAX_ITEMS:
        raise ValueError(f"{items} spans or log records, more than {MAX_ITEMS}")
    if repeated > MAX_REPEATED_BYTES:
        raise ValueError(f"{repeated} bytes of resources and scopes in {items} rows, more than {MAX_REPEATED_BYTES}")


def _spans(request: ExportTraceServiceRequest, received: datetime | None, refused: _Refused) -> list[Row]:
    groups = [(about, scope) for about in request.resource_spans for scope in about.scope_spans]
    _check_items((about.resource, scope.scope, len(scope.spans)) for about, scope in groups)
    rows: list[Row] = []
    number = 0
    for resource_spans in request.resource_spans:
        shared, inherited = _resource(resource_spans.resource, received)
        for scope_spans in resource_spans.scope_spans:
            shared["scope"] = scope_spans.scope.name or None
            for span in scope_spans.spans:
                if _id(span.trace_id, TRACE_ID_BYTES) and _id(span.span_id, SPAN_ID_BYTES):
                    rows.append(_span(span, shared, inherited))
                else:
                    refused.add(number, span, resource_spans, scope_spans)
                number += 1
    return rows


def _span(span: Span, shared: Row, inherited: Row) -> Row:
    columns, texts = split(span.attributes, inherited)
    return {
        **shared,
        **columns,
        "trace_id": _id(span.trace_id, TRACE_ID_BYTES),
        "span_id": _id(span.span_id, SPAN_ID_BYTES),
        "parent_span_id": _id(span.parent_span_id, SPAN_ID_BYTES),
        "name": span.name,
        "kind": _word(Span.SpanKind.DESCRIPTOR, span.kind, "SPAN_KIND_"),
        "start_time": _time(span.start_time_unix_nano) or _time(span.end_time_unix_nano) or shared["received_at"],
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
    groups = [(about, scope) for about in request.resource_logs for scope in about.scope_logs]
    _check_items((about.resource, scope.scope, len(scope.log_records)) for about, scope in groups)
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
        "event_time": _time(record.time_unix_nano) or observed or shared["received_at"],
        "observed_time": observed,
        "trace_id": _id(record.trace_id, TRACE_ID_BYTES),
        "span_id": _id(record.span_id, SPAN_ID_BYTES),
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


def _id(raw: bytes, size: int) -> str | None:
    """The id in hex; None for one that is absent or invalid, as OTLP has it for wrong lengths and zeros alone."""
    return raw.hex() if len(raw) == size and any(raw) else None


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
