"""OTLP/HTTP exporters that say what the endpoint answered, which the SDK's own result does not.

Read in the installed source (1.45.2): an exporter answers SUCCESS or FAILURE only, takes any 2xx and 3xx for success,
retries 429, 502, 503, 504 and lost connections within its timeout (1, 2, 4 … s apart), and logs a line at each step.
The time out here leaves room for one retry of its own; the rest is the business of `exporter.Exporter`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from tachograph.export.answer import Answer
    from tachograph.export.destination import Destination

_CREDENTIALS = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER"


def has_credential_provider(signal: str) -> bool:
    """Whether the application names a credential provider: its session is the SDK's to load and notes no answers."""
    specific = _CREDENTIALS.replace("HTTP_", f"HTTP_{signal.upper()}_")
    return bool(os.environ.get(_CREDENTIALS) or os.environ.get(specific))


class _Session(requests.Session):
    """A session of our own, in which OTEL_EXPORTER_OTLP_CERTIFICATE wins over REQUESTS_CA_BUNDLE."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        if isinstance(self.verify, str):  # which requests passes over where the variable is set
            kwargs.setdefault("verify", self.verify)
        return super().request(*args, **kwargs)


class _AnsweringSession(_Session):
    """A session that notes each answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        self._answer.asked = True
        response = super().request(*args, **kwargs)
        self._answer.status = response.status_code
        self._answer.retry_after = _seconds(response.headers.get("Retry-After"))
        return response


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isdecimal() else None


def connect(to: Destination, answer: Answer | None) -> SpanExporter | LogRecordExporter:
    """An OTLP/HTTP exporter of spans or log records; headers and certificates of the environment are added to it."""
    exporter = OTLPSpanExporter if to.signal == "traces" else OTLPLogExporter
    return exporter(
        to.endpoint,
        headers=to.headers,
        timeout=to.timeout_s,
        compression=Compression(to.compression),
        session=_AnsweringSession(answer) if answer is not None else None,
    )


def connect_metrics(to: Destination) -> OTLPMetricExporter:
    """An OTLP/HTTP exporter of metrics."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # 40 ms that few need

    session = None if has_credential_provider(to.signal) else _Session()
    compression = Compression(to.compression)
    return OTLPMetricExporter(
        to.endpoint, headers=to.headers, timeout=to.timeout_s, compression=compression, session=session
    )
