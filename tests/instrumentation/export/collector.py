"""A loopback OTLP/gRPC endpoint for tests: answers from a script, keeps what it took."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Detail
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass
class Collector:
    """`script` holds gRPC codes, "OK" or "hang"; the last one stays. `wait_s` goes out with each refusal."""

    script: list[str] = field(default_factory=lambda: ["OK"])
    wait_s: int | None = None
    taken: dict[str, list[Any]] = field(default_factory=lambda: {"traces": [], "logs": [], "metrics": []})
    metadata: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    calls: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def answer(self, signal: str, request: Any, context: grpc.ServicerContext, response: Any) -> Any:
        self.calls += 1
        code = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.metadata.append(dict(context.invocation_metadata()))
        if code == "hang":
            self.released.wait(20)
        if code != "OK":
            if self.wait_s is not None:
                detail = Detail()
                detail.Pack(RetryInfo(retry_delay=Duration(seconds=self.wait_s)))
                status = Status(details=[detail]).SerializeToString()
                context.set_trailing_metadata((("grpc-status-details-bin", status),))
            context.abort(grpc.StatusCode[code if code != "hang" else "UNAVAILABLE"], "by the script")
        self.taken[signal].append(request)
        return response

    def span_names(self) -> list[str]:
        return [
            span.name
            for request in self.taken["traces"]
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def event_names(self) -> list[str]:
        return [
            record.event_name
            for request in self.taken["logs"]
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


def listen(collector: Collector, credentials: grpc.ServerCredentials | None = None) -> grpc.Server:
    """A running server, of TLS where it has credentials; `collector.url` says where."""
    server = grpc.server(ThreadPoolExecutor(8))
    for signal, service, messages in (
        ("traces", trace_service_pb2_grpc, trace_service_pb2),
        ("logs", logs_service_pb2_grpc, logs_service_pb2),
        ("metrics", metrics_service_pb2_grpc, metrics_service_pb2),
    ):
        _serve(server, collector, signal, service, messages)
    if credentials is None:
        collector.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    else:
        collector.url = f"https://127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    server.start()
    return server


def _serve(server: grpc.Server, collector: Collector, signal: str, service: Any, messages: Any) -> None:
    kind = {"traces": "Trace", "logs": "Logs", "metrics": "Metrics"}[signal]
    response = getattr(messages, f"Export{kind}ServiceResponse")

    class Servicer(getattr(service, f"{kind}ServiceServicer")):
        def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802  the service's name for it
            return collector.answer(signal, request, context, response())

    getattr(service, f"add_{kind}ServiceServicer_to_server")(Servicer(), server)
