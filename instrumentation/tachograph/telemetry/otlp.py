"""OTLP/HTTP exporters that say what the endpoint answered, which the SDK's own result does not.

Read in the installed source (1.45.2): an exporter answers SUCCESS or FAILURE only, takes any 2xx and 3xx for success,
retries 429, 502, 503, 504 and lost connections within its timeout (1, 2, 4 … s apart), and logs a line at each step.
The time out here leaves room for one retry of its own; the rest is the business of `exporter.Exporter`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from tachograph.telemetry.exporter import Answer

ATTEMPT_S = 5.0

_CREDENTIALS = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER"


def has_credential_provider(signal: str) -> bool:
    """Whether the application names a credential provider: its session is the SDK's to load and notes no answers."""
    specific = _CREDENTIALS.replace("HTTP_", f"HTTP_{signal.upper()}_")
    return bool(os.environ.get(_CREDENTIALS) or os.environ.get(specific))


class _Session(requests.Session):
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


def connect_spans(
    answer: Answer | None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = ATTEMPT_S,
) -> SpanExporter:
    """An OTLP/HTTP span exporter; `endpoint` is a base URL, None leaves it to OTEL_EXPORTER_OTLP_*."""
    url = _url(endpoint, "traces")
    session = _Session(answer) if answer is not None else None
    compression = _compression("TRACES")
    return OTLPSpanExporter(url, headers=headers, timeout=timeout_s, compression=compression, session=session)


def connect_logs(
    answer: Answer | None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = ATTEMPT_S,
) -> LogRecordExporter:
    """An OTLP/HTTP log exporter; `endpoint` is a base URL, None leaves it to OTEL_EXPORTER_OTLP_*."""
    url = _url(endpoint, "logs")
    session = _Session(answer) if answer is not None else None
    compression = _compression("LOGS")
    return OTLPLogExporter(url, headers=headers, timeout=timeout_s, compression=compression, session=session)


def _url(endpoint: str | None, signal: Literal["traces", "logs"]) -> str | None:
    return None if endpoint is None else f"{endpoint.rstrip('/')}/v1/{signal}"


def _compression(signal: str) -> Compression | None:
    """Gzip unless the application chose: bodies shrink to about a tenth."""
    names = (f"OTEL_EXPORTER_OTLP_{signal}_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")
    return None if any(os.environ.get(name) for name in names) else Compression.Gzip
