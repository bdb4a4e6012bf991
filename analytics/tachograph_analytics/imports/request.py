"""OTLP requests of a size that a receiver likes, made of documents of any size."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.json_format import ParseError
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tachograph.registry import names
from tachograph_analytics.store import otlp_json
from tachograph_analytics.store.decode import SPAN_ID_BYTES, TRACE_ID_BYTES
from tachograph_analytics.store.segment import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tachograph_analytics.imports.document import Document

# Spans or log records of a request: the decoder commits up to 40 bodies or 20,000 rows at once, so ten of these.
MOST_ITEMS: Final = 2_000
# Bytes of a request; a resource and its scope are repeated with each part of what is split.
MOST_BYTES: Final = 4 * 2**20

Request = ExportTraceServiceRequest | ExportLogsServiceRequest


class NoOtlpError(ValueError):
    """A sentence about a document that is not OTLP."""


@dataclass(slots=True)
class Counted:
    """What was read: `rejected` spans have no usable id, `foreign` ones no run id, `metrics` are resources of them."""

    spans: int = 0
    events: int = 0
    rejected: int = 0
    foreign: int = 0
    metrics: int = 0

    def span(self, span: Span) -> None:
        """Counts one span."""
        self.spans += 1
        sound = len(span.trace_id) == TRACE_ID_BYTES and len(span.span_id) == SPAN_ID_BYTES
        self.rejected += not (sound and any(span.trace_id) and any(span.span_id))
        self.foreign += all(attribute.key != names.RUN_ID for attribute in span.attributes)


@dataclass(slots=True)
class Batches:
    """Gathers documents into requests of bounded size and hands each to `send` as soon as it is full."""

    send: Callable[[Signal, bytes], None]
    counted: Counted = field(default_factory=Counted)
    _waiting: dict[Signal, Request] = field(default_factory=dict[Signal, Request])
    _sizes: dict[Signal, tuple[int, int]] = field(default_factory=dict[Signal, tuple[int, int]])

    def add(self, document: Document) -> None:
        """Takes a document over; NoOtlpError where it is none, and then nothing of it is taken."""
        parsed, metrics = parse(document)
        self.counted.metrics += metrics
        for request in parsed:
            signal = Signal.TRACES if isinstance(request, ExportTraceServiceRequest) else Signal.LOGS
            for part, items in self._parts(request):
                self._add(signal, part, items)

    def flush(self) -> None:
        """Sends what waits."""
        for signal in [*self._waiting]:
            self.send(signal, self._waiting.pop(signal).SerializeToString())
            del self._sizes[signal]

    def _add(self, signal: Signal, part: Request, items: int) -> None:
        size = part.ByteSize()
        held_items, held_bytes = self._sizes.get(signal, (0, 0))
        if held_items and (held_items + items > MOST_ITEMS or held_bytes + size > MOST_BYTES):
            self.send(signal, self._waiting.pop(signal).SerializeToString())
            held_items = held_bytes = 0
        if signal in self._waiting:
            self._waiting[signal].MergeFrom(part)  # pyright: ignore[reportArgumentType] - of the same signal
        else:
            self._waiting[signal] = part
        self._sizes[signal] = held_items + items, held_bytes + size

    def _parts(self, request: Request) -> Iterator[tuple[Request, int]]:
        if isinstance(request, ExportTraceServiceRequest):
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self.counted.span(span)
            return _split(request, "resource_spans", "scope_spans", "spans")
        self.counted.events += _items(request, "resource_logs", "scope_logs", "log_records")
        return _split(request, "resource_logs", "scope_logs", "log_records")


def parse(document: Document) -> tuple[list[Request], int]:
    """The requests in a document, and how many resources of metrics it has; NoOtlpError where it holds neither."""
    try:
        return _from_json(document.body) if document.is_json else _from_protobuf(document.body)
    except NoOtlpError:
        raise
    except (ValueError, ParseError, DecodeError, AttributeError, TypeError, RecursionError) as error:
        raise NoOtlpError(f"it is no OTLP: {_first_line(error)}") from error


def _from_json(body: bytes) -> tuple[list[Request], int]:
    if body.lstrip()[:1] == b"[":
        each = [_from_json(json.dumps(part).encode()) for part in json.loads(body)]
        return [request for requests, _ in each for request in requests], sum(metrics for _, metrics in each)
    found: list[Request] = []
    # What is asked for by its key is parsed once: the other signals' keys are unknown to it and passed over.
    if b'"resourceSpans"' in body:
        found.append(otlp_json.parse(body, ExportTraceServiceRequest()))
    if b'"resourceLogs"' in body:
        found.append(otlp_json.parse(body, ExportLogsServiceRequest()))
    metrics = len(json.loads(body).get("resourceMetrics") or ()) if b'"resourceMetrics"' in body else 0
    if not found and not metrics and json.loads(body) != {}:
        raise NoOtlpError("it is JSON, but has none of resourceSpans, resourceLogs and resourceMetrics")
    return [request for request in found if request.ByteSize()], metrics


def _from_protobuf(body: bytes) -> tuple[list[Request], int]:
    """The bytes do not say which signal they are; wherever another one's fields are read, times are missing."""
    for kind, held in ((ExportTraceServiceRequest, _is_traces), (ExportLogsServiceRequest, _is_logs)):
        try:
            request = kind.FromString(body)
        except (DecodeError, UnicodeDecodeError):  # the bytes of another signal as text
            continue
        if held(request):
            return [request], 0
    metrics = ExportMetricsServiceRequest.FromString(body)
    scopes = [scope for about in metrics.resource_metrics for scope in about.scope_metrics]
    named = [metric.name for scope in scopes for metric in scope.metrics]
    if named and all(name and name.isprintable() for name in named):
        return [], len(metrics.resource_metrics)
    if scopes:
        raise NoOtlpError("it is protobuf, but neither traces nor logs nor metrics")
    return [], 0  # resources without anything


def _is_traces(request: Any) -> bool:
    spans = (span for about in request.resource_spans for scope in about.scope_spans for span in scope.spans)
    return any(span.start_time_unix_nano or len(span.trace_id) == TRACE_ID_BYTES for span in spans)


def _is_logs(request: Any) -> bool:
    records = (record for about in request.resource_logs for scope in about.scope_logs for record in scope.log_records)
    return any(record.time_unix_nano or record.observed_time_unix_nano for record in records)


def _items(request: Request, resources: str, scopes: str, items: str) -> int:
    return sum(len(getattr(scope, items)) for about in getattr(request, resources) for scope in getattr(about, scopes))


def _split(request: Request, resources: str, scopes: str, items: str) -> Iterator[tuple[Request, int]]:
    """The request in parts within the bounds, each with its items counted; one that fits is its only part."""
    whole = _items(request, resources, scopes, items)
    if whole <= MOST_ITEMS and request.ByteSize() <= MOST_BYTES:
        if whole:
            yield request, whole
        return
    for about in getattr(request, resources):
        for scope in getattr(about, scopes):
            rest = list(getattr(scope, items))
            while rest:
                taken = _within(rest)
                yield _alone(request, resources, scopes, items, (about, scope, rest[:taken])), taken
                rest = rest[taken:]


def _within(rest: list[Message]) -> int:
    """How many of the first items fit into a request; at least one."""
    size = taken = 0
    for item in rest[:MOST_ITEMS]:
        size += item.ByteSize()
        if taken and size > MOST_BYTES:
            break
        taken += 1
    return taken


def _alone(request: Request, resources: str, scopes: str, items: str, part: tuple[Any, Any, list[Message]]) -> Request:
    """A request of some items below their resource and scope."""
    about, scope, some = part
    alone = type(request)()
    resource = getattr(alone, resources).add(resource=about.resource, schema_url=about.schema_url)
    below = getattr(resource, scopes).add(scope=scope.scope, schema_url=scope.schema_url)
    getattr(below, items).extend(some)
    return alone


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
