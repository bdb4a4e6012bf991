"""What instrument() was asked for: from its arguments first, then from the environment, then the defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

MetricsMode = Literal["prometheus", "otlp", "none"]

OTLP_ENDPOINT = "http://127.0.0.1:4318"
METRICS_PORT = 9464  # the port that OpenTelemetry gives to the Prometheus exporter

_TRUE = frozenset({"1", "true", "yes", "on"})
_MODES: tuple[MetricsMode, ...] = ("prometheus", "otlp", "none")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one instrumented process; see `instrument()` for what each does."""

    service_name: str
    endpoint: str
    endpoint_given: bool
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    metrics: MetricsMode = "prometheus"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = METRICS_PORT
    metrics_token: str | None = None
    content: bool = False
    hash_key: bytes | None = None
    tenant_hashed: bool = False
    patience_s: float = 60.0
    disabled: bool = False


def read(
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    metrics: MetricsMode | None = None,
    metrics_port: int | None = None,
    content: bool | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """The configuration; raises UsageError for a setting that cannot be meant."""
    key = environ.get("TACHOGRAPH_HASH_KEY")
    from_environment = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return Config(
        service_name=service_name or environ.get("OTEL_SERVICE_NAME") or _resource_name(environ) or "agent",
        endpoint=(endpoint or from_environment or OTLP_ENDPOINT).rstrip("/"),
        endpoint_given=endpoint is not None,
        headers=dict(headers or {}),
        metrics=metrics or _mode(environ.get("OTEL_METRICS_EXPORTER", "prometheus")),
        metrics_host=environ.get("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
        metrics_port=metrics_port if metrics_port is not None else _port(environ, "OTEL_EXPORTER_PROMETHEUS_PORT"),
        metrics_token=environ.get("TACHOGRAPH_TOKEN"),
        content=content if content is not None else environ.get("TACHOGRAPH_CONTENT", "").lower() in _TRUE,
        hash_key=key.encode() if key else None,
        tenant_hashed=environ.get("TACHOGRAPH_TENANT", "plain") == "hashed",
        patience_s=_number(environ, "TACHOGRAPH_PATIENCE", 60.0),
        disabled=environ.get("OTEL_SDK_DISABLED", "").lower() == "true",
    )


def _resource_name(environ: Mapping[str, str]) -> str | None:
    pairs = (pair.partition("=") for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return next((value.strip() for name, _, value in pairs if name.strip() == "service.name"), None)


def _mode(text: str) -> MetricsMode:
    for mode in _MODES:
        if mode in {part.strip() for part in text.split(",")}:
            return mode
    raise UsageError(f"OTEL_METRICS_EXPORTER is {text!r}; tachograph knows prometheus, otlp and none.")


def _port(environ: Mapping[str, str], name: str) -> int:
    port = int(_number(environ, name, METRICS_PORT))
    if not 0 <= port <= 65535:  # noqa: PLR2004 - the range of ports
        raise UsageError(f"{name} is {port}; a port is a number from 0 to 65535.")
    return port


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    if text is None:
        return default
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{name} is {text!r}, which is not a number.") from None
