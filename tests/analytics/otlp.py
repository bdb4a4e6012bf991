"""OTLP requests for tests, made by hand so that every byte that matters is in sight."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

NOON = 1_790_000_000_000_000_000  # Unix nanoseconds


@dataclass(frozen=True, slots=True)
class ASpan:
    """A span; ids are small numbers, times are milliseconds after NOON."""

    trace: int
    span: int
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str = "work"
    parent: int | None = None
    start_ms: float = 0.0
    end_ms: float = 11.0


@dataclass(frozen=True, slots=True)
class AnEvent:
    """An event; `at_ms` is milliseconds after NOON."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    at_ms: float = 0.0
    trace: int | None = None
    span: int | None = None


def trace_id(number: int) -> str:
    return f"{number:032x}"


def span_id(number: int) -> str:
    return f"{number:016x}"


_FIELDS = {bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value", str: "string_value"}


def any_value(value: Any) -> AnyValue:
    if value is None:
        return AnyValue()
    if isinstance(value, Mapping):
        return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    if known := _FIELDS.get(type(value)):
        return AnyValue(**{known: value})
    return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))


def key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def traces(spans: Iterable[ASpan], resource: Mapping[str, Any] | None = None) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(key_values(resource or {"service.name": "airline"}))
    scope = group.scope_spans.add()
    scope.scope.name = "tachograph"
    for one in spans:
        scope.spans.add(
            trace_id=bytes.fromhex(trace_id(one.trace)),
            span_id=bytes.fromhex(span_id(one.span)),
            parent_span_id=bytes.fromhex(span_id(one.parent)) if one.parent else b"",
            name=one.name,
            kind=1,
            start_time_unix_nano=NOON + round(one.start_ms * 1e6),
            end_time_unix_nano=NOON + round(one.end_ms * 1e6),
            attributes=key_values(one.attributes),
        )
    return request


def logs(events: Iterable[AnEvent], resource: Mapping[str, Any] | None = None) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(key_values(resource or {"service.name": "airline"}))
    scope = group.scope_logs.add()
    scope.scope.name = "tachograph"
    for one in events:
        scope.log_records.add(
            time_unix_nano=NOON + round(one.at_ms * 1e6),
            observed_time_unix_nano=NOON + round(one.at_ms * 1e6),
            event_name=one.name,
            severity_text="INFO",
            trace_id=bytes.fromhex(trace_id(one.trace)) if one.trace else b"",
            span_id=bytes.fromhex(span_id(one.span)) if one.span else b"",
            attributes=key_values(one.attributes),
        )
    return request


def packed(request: ExportTraceServiceRequest | ExportLogsServiceRequest) -> bytes:
    """The request as the SDK sends it."""
    return gzip.compress(request.SerializeToString(), mtime=0)
