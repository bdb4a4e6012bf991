"""OTLP/gRPC exporters that say what the endpoint answered. Imported only where gRPC is asked for: extra [grpc].

Read in the installed source (1.45.2): an exporter answers SUCCESS or FAILURE only and hides the status; it tries again
within its timeout (1, 2, 4 … s apart), also what the specification calls final.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc import Compression, RpcError
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.util.re import parse_env_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from tachograph.export.answer import Answer
    from tachograph.export.destination import Destination

_COMPRESSION = {"gzip": Compression.Gzip, "deflate": Compression.Deflate, "none": Compression.NoCompression}
_DETAILS = "grpc-status-details-bin"  # a google.rpc.Status, in which an endpoint may say when to come again


class _Stub:
    """A client of the service that notes each answer."""

    def __init__(self, stub: Any, answer: Answer) -> None:
        self._stub = stub
        self._answer = answer

    def Export(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802  the service's name for it
        self._answer.asked = True
        try:
            response = self._stub.Export(*args, **kwargs)
        except RpcError as error:
            self._answer.status = cast("Any", error).code().name
            self._answer.retry_after = _wait(cast("Any", error).trailing_metadata() or ())
            raise
        self._answer.status = "OK"
        return response


def _wait(metadata: Sequence[tuple[str, bytes]]) -> float | None:
    for key, value in metadata:
        if key == _DETAILS:
            for detail in Status.FromString(value).details:
                wait = RetryInfo()
                if detail.Unpack(wait):
                    return wait.retry_delay.seconds + wait.retry_delay.nanos / 1e9
    return None


class _Answering:
    """Puts the noting client where the SDK's exporter keeps its own, which it does again after each lost connection."""

    _answer: Answer
    _client: Any

    def _initialize_channel_and_stub(self) -> None:
        cast("Any", super())._initialize_channel_and_stub()  # noqa: SLF001  the one seam where the status is still seen
        self._client = _Stub(self._client, self._answer)

    def export(self, batch: Any, /) -> Any:
        if not isinstance(self._client, _Stub):  # another SDK: nothing will be noted, and nothing may pass for refused
            self._answer.asked = True
        return cast("Any", super()).export(batch)


class _Spans(_Answering, OTLPSpanExporter):  # pyright: ignore[reportIncompatibleMethodOverride]: called by position only
    def __init__(self, answer: Answer, **settings: Any) -> None:
        self._answer = answer
        super().__init__(**settings)


class _Logs(_Answering, OTLPLogExporter):  # pyright: ignore[reportIncompatibleMethodOverride]: called by position only
    def __init__(self, answer: Answer, **settings: Any) -> None:
        self._answer = answer
        super().__init__(**settings)


def connect(to: Destination, answer: Answer) -> SpanExporter | LogRecordExporter:
    """An OTLP/gRPC exporter of spans or log records; certificates of the environment are added to it."""
    exporter = _Spans if to.signal == "traces" else _Logs
    return exporter(answer, **_settings(to))


def connect_metrics(to: Destination) -> OTLPMetricExporter:
    """An OTLP/gRPC exporter of metrics."""
    return OTLPMetricExporter(**_settings(to))


def _settings(to: Destination) -> dict[str, Any]:
    compression = _COMPRESSION[to.compression]
    return {"endpoint": to.endpoint, "headers": _headers(to), "timeout": to.timeout_s, "compression": compression}


def _headers(to: Destination) -> dict[str, str] | None:
    """Those of instrument() over those of the environment, which the SDK would drop; gRPC takes lower case only."""
    names = (f"OTEL_EXPORTER_OTLP_{to.signal.upper()}_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    said = next(filter(None, map(os.environ.get, names)), "")
    own: Mapping[str, str] = {name.lower(): value for name, value in to.headers.items()}
    return {**parse_env_headers(said, liberal=True), **own} or None
