"""Reads recorded telemetry from files: OTLP as JSON or protobuf, or a /metrics page, gzipped or not."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any, Final, cast

from tachograph.errors import UsageError
from tachograph.registry.recorded import EventRecord, Recorded, SeriesRecord, SpanRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_GZIP: Final = b"\x1f\x8b"
_SCALARS: Final[dict[str, Callable[[Any], Any]]] = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,
    "bytesValue": base64.b64decode,
}


def read(path: Path) -> Recorded:
    """A file of OTLP/JSON (one request, or one a line), OTLP protobuf, or a /metrics page, gzipped or not.

    Raises UsageError when it is none of them.
    """
    try:
        body = path.read_bytes()
        body = gzip.decompress(body) if body.startswith(_GZIP) else body
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if body.lstrip()[:1] in {b"{", b"["}:
        return _json(path, body)
    text = _text(body)
    return _protobuf(path, body) if text is None else _exposition(path, text)


def _text(body: bytes) -> str | None:
    """The file as text; None when it is binary."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if any(ord(character) < ord(" ") and character not in "\t\r\n" for character in text[:4096]) else text


def _json(path: Path, body: bytes) -> Recorded:
    try:
        try:
            requests = [json.loads(body)]
        except json.JSONDecodeError:
            requests = [json.loads(line) for line in body.splitlines() if line.strip()]
    except ValueError as error:
        raise UsageError(f"{path} is neither JSON nor a JSON document a line: {error}.") from error
    found = Recorded()
    for request in requests:
        parts = cast("list[Any]", request) if isinstance(request, list) else [request]
        for part in parts:
            found += _request(path, part, _as_it_is)
    return found


def _request(path: Path, request: Any, span_id: Any) -> Recorded:
    keys = ("resourceSpans", "resourceLogs", "resourceMetrics")
    if not isinstance(request, dict) or (request and not any(key in request for key in keys)):
        raise UsageError(f"{path} is JSON but not OTLP: it has none of {', '.join(keys)}.")
    held = cast("dict[str, Any]", request)
    try:
        return Recorded(
            tuple(
                SpanRecord(span.get("name", ""), _attributes(span), span_id(span.get("spanId", "")))
                for span in _items(held, "resourceSpans", "scopeSpans", "spans")
            ),
            tuple(
                EventRecord(log.get("eventName", ""), _attributes(log), span_id(log.get("spanId", "")))
                for log in _items(held, "resourceLogs", "scopeLogs", "logRecords")
            ),
            tuple(_series(held)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is not OTLP as it should be: {type(error).__name__} {error}.") from error


def _items(request: dict[str, Any], resources: str, scopes: str, items: str) -> Iterator[dict[str, Any]]:
    for resource in request.get(resources, ()):
        for scope in resource.get(scopes, ()):
            yield from scope.get(items, ())


def _series(request: dict[str, Any]) -> Iterator[SeriesRecord]:
    for metric in _items(request, "resourceMetrics", "scopeMetrics", "metrics"):
        for kind in ("sum", "gauge", "histogram", "exponentialHistogram", "summary"):
            for point in metric.get(kind, {}).get("dataPoints", ()):
                yield SeriesRecord(metric["name"], _attributes(point), metric["name"])


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: _value(pair.get("value", {})) for pair in holder.get("attributes", ())}


def _value(value: dict[str, Any]) -> Any:
    """An OTLP AnyValue; 64-bit integers are strings in JSON, and whole doubles look like integers there."""
    for kind, held in value.items():
        if kind in _SCALARS:
            return _SCALARS[kind](held)
        if kind == "arrayValue":
            return [_value(part) for part in held.get("values", ())]
        if kind == "kvlistValue":
            return {pair["key"]: _value(pair.get("value", {})) for pair in held.get("values", ())}
    return None


def _as_it_is(identity: str) -> str:
    return identity


def _as_hex(identity: str) -> str:
    try:
        return base64.b64decode(identity).hex()
    except binascii.Error:
        return identity


def _protobuf(path: Path, body: bytes) -> Recorded:
    """An OTLP request of any signal: the bytes do not say which, the ids and times of their items do."""
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for kind in (ExportTraceServiceRequest, ExportLogsServiceRequest, ExportMetricsServiceRequest):
        try:
            request = MessageToDict(kind.FromString(body))
        except (DecodeError, UnicodeDecodeError, ValueError):
            continue
        if _plausible(request):
            return _request(path, request, _as_hex)
    raise UsageError(f"{path} is neither OTLP (JSON or protobuf) nor a /metrics page.")


def _plausible(request: dict[str, Any]) -> bool:
    spans = list(_items(request, "resourceSpans", "scopeSpans", "spans"))
    logs = list(_items(request, "resourceLogs", "scopeLogs", "logRecords"))
    metrics = list(_items(request, "resourceMetrics", "scopeMetrics", "metrics"))
    whole = all(len(_as_hex(span.get("traceId", ""))) == 32 and span.get("startTimeUnixNano") for span in spans)  # noqa: PLR2004  16 bytes in hex
    timed = all(log.get("timeUnixNano") or log.get("observedTimeUnixNano") for log in logs)
    named = all(metric.get("name", "").isprintable() and metric.get("name") for metric in metrics)
    return bool(spans or logs or metrics) and whole and timed and named


def _exposition(path: Path, text: str) -> Recorded:
    from prometheus_client import parser
    from prometheus_client.openmetrics import parser as openmetrics_parser

    chosen: Any = openmetrics_parser if text.rstrip().endswith("# EOF") else parser  # one is not annotated
    try:
        families = list(chosen.text_string_to_metric_families(text))
    except (ValueError, IndexError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} is neither OTLP nor a /metrics page: {error}.") from error
    if not families and text.strip():
        raise UsageError(f"{path} is neither OTLP nor a /metrics page: no metric is in it.")
    return Recorded(
        series=tuple(
            SeriesRecord(sample.name, dict(sample.labels), sample.name)
            for family in families
            for sample in family.samples
        )
    )
