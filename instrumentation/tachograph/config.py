"""What instrument() was asked for: from its arguments first, then from the environment, then the defaults."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tachograph.errors import UsageError
from tachograph.privacy.identity import name as redacted

if TYPE_CHECKING:
    from tachograph.privacy.analyzer import Analyzer

MetricsMode = Literal["prometheus", "otlp", "none"]
BaggageMode = Literal["on", "send", "off"]
OtlpProtocol = Literal["http/protobuf", "grpc"]
Capture = Literal["off", "redacted", "full"]

OTLP_ENDPOINT = "http://127.0.0.1:4318"
AUDIT_DIR = "TACHOGRAPH_AUDIT_DIR"
METRICS_PORT = 9464  # the port that OpenTelemetry gives to the Prometheus exporter

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_MODES: tuple[MetricsMode, ...] = ("prometheus", "otlp", "none")
_BAGGAGE: tuple[BaggageMode, ...] = ("on", "send", "off")
_PROTOCOLS: tuple[OtlpProtocol, ...] = ("http/protobuf", "grpc")
_CAPTURES: tuple[Capture, ...] = ("off", "redacted", "full")
_PORT = re.compile(r"[0-9]{1,5}")
_ADDRESS = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.-]*:)?/+)?([^/?#]*)([^?#]*)")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]*\]|[\w.%-]*)(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one instrumented process; see `instrument()` for what each does.

    `notes` say which settings of OpenTelemetry were passed over, and what holds instead.
    """

    service_name: str
    endpoint: str
    endpoint_given: bool
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    protocol: OtlpProtocol | None = None
    metrics: MetricsMode = "prometheus"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = METRICS_PORT
    metrics_token: str | None = None
    metrics_dir: str | None = None
    sample_rate: float | None = None
    sampling_file: str | None = None
    capture: Capture = "off"
    analyzer: Analyzer | None = None
    log_ids: bool = True
    baggage: BaggageMode = "send"
    hash_key: bytes | None = None
    audit_dir: Path | None = None
    audit_key: bytes | None = None
    tenant_hashed: bool = False
    patience_s: float = 60.0
    disabled: bool = False
    notes: tuple[str, ...] = ()

    @property
    def shown_endpoint(self) -> str:
        """The endpoint as it may be printed."""
        return shown(self.endpoint)


def shown(url: str) -> str:
    """An address as it may be printed, with or without a scheme: without user, password, query and fragment.

    What then is no host with a port may be the half of a password, and "…" stands for it and for all behind it.
    """
    found = _ADDRESS.match(url)
    scheme, authority, path = found.groups(default="") if found else ("", url, "")
    host = authority.rpartition("@")[2]
    return f"{scheme}{host}{path}" if _HOST.fullmatch(host) else f"{scheme}…"


def read(
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    protocol: OtlpProtocol | None = None,
    metrics: MetricsMode | None = None,
    metrics_port: int | None = None,
    sample_rate: float | None = None,
    capture: Capture | None = None,
    analyzer: Analyzer | None = None,
    log_ids: bool | None = None,
    audit_dir: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """The configuration; raises UsageError for a setting of tachograph's own that cannot be meant.

    As OpenTelemetry asks for its variables, an empty one counts as unset, and one that makes no sense is passed over
    with a note: it may be meant for another part of the process.
    """
    given = {name: value for name, value in environ.items() if value.strip()}
    notes: list[str] = []
    key = given.get("TACHOGRAPH_HASH_KEY")
    return Config(
        service_name=redacted(service_name or given.get("OTEL_SERVICE_NAME") or _resource_name(given) or "agent"),
        endpoint=(_url(endpoint) or given.get("OTEL_EXPORTER_OTLP_ENDPOINT") or OTLP_ENDPOINT).rstrip("/"),
        endpoint_given=endpoint is not None,
        headers=_headers(headers),
        protocol=_protocol(protocol),
        metrics=_asked(metrics) or _mode(given, notes),
        metrics_host=given.get("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
        metrics_port=_port(given, notes) if metrics_port is None else _asked_port(metrics_port),
        metrics_token=given.get("TACHOGRAPH_TOKEN"),
        metrics_dir=given.get("TACHOGRAPH_METRICS_DIR"),
        sample_rate=_share("sample_rate", sample_rate, given, "TACHOGRAPH_SAMPLE_RATE"),
        sampling_file=given.get("TACHOGRAPH_SAMPLING_FILE"),
        capture=_capture(capture, given),
        analyzer=_presidio(given) if analyzer is None else _asked_analyzer(analyzer),
        log_ids=log_ids if log_ids is not None else _switch(given, "TACHOGRAPH_LOG_IDS"),
        baggage=_baggage(given),
        hash_key=key.encode() if key else None,
        audit_dir=_folder(audit_dir or given.get(AUDIT_DIR)),
        audit_key=audit_key(given),
        tenant_hashed=_tenant_hashed(given),
        patience_s=_seconds(given, "TACHOGRAPH_PATIENCE", 60.0),
        disabled=given.get("OTEL_SDK_DISABLED", "").lower() == "true",
        notes=tuple(notes),
    )


def audit_key(given: Mapping[str, str]) -> bytes | None:
    """What keys the chain of audit entries: a key of its own, or that of the hashes; None where there is neither."""
    key = given.get("TACHOGRAPH_AUDIT_KEY") or given.get("TACHOGRAPH_HASH_KEY")
    return key.encode() if key else None


def _folder(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).expanduser().absolute()


def _url(endpoint: str | None) -> str | None:
    if endpoint is not None and not isinstance(endpoint, str):  # pyright: ignore[reportUnnecessaryIsInstance] - nobody checks the host's types
        raise UsageError(f"endpoint is of type {type(endpoint).__name__}; give a URL as text, like {OTLP_ENDPOINT}.")
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise UsageError(f"endpoint={shown(endpoint)!r} is no URL; give one like {OTLP_ENDPOINT}.")
    return endpoint


def _headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
        raise UsageError(f"headers is of type {type(headers).__name__}; give a dict of names and values.")
    if not all(isinstance(part, str) for pair in headers.items() for part in pair):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
        raise UsageError("headers has a name or value that is no text; give a dict of text by text.")
    return dict(headers)


def _asked_port(port: int) -> int:
    if type(port) is not int or not 0 <= port <= 65535:  # noqa: PLR2004 - the range of ports
        raise UsageError(f"metrics_port={port!r} is no port; it can be a number from 0 to 65535.")
    return port


def _asked_analyzer(analyzer: Analyzer) -> Analyzer:
    if not callable(getattr(analyzer, "analyze", None)):
        raise UsageError(
            f"analyzer is of type {type(analyzer).__name__}, which has no analyze(); give one like Presidio's."
        )
    return analyzer


def _protocol(protocol: OtlpProtocol | None) -> OtlpProtocol | None:
    if protocol is not None and protocol not in _PROTOCOLS:
        raise UsageError(f"protocol={protocol!r} is none that tachograph speaks; it can be {' or '.join(_PROTOCOLS)}.")
    return protocol


def _resource_name(given: Mapping[str, str]) -> str | None:
    pairs = (pair.partition("=") for pair in given.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return next((value.strip() for name, _, value in pairs if name.strip() == "service.name"), None)


def _asked(metrics: MetricsMode | None) -> MetricsMode | None:
    if metrics is not None and metrics not in _MODES:
        raise UsageError(f"metrics={metrics!r} is not known; it can be {', '.join(_MODES[:-1])} or {_MODES[-1]}.")
    return metrics


def _mode(given: Mapping[str, str], notes: list[str]) -> MetricsMode:
    text = given.get("OTEL_METRICS_EXPORTER", "prometheus")
    asked = {part.strip() for part in text.split(",")}
    for mode in _MODES:
        if mode in asked:
            return mode
    notes.append(f"OTEL_METRICS_EXPORTER is {text!r}; tachograph knows prometheus, otlp and none, and takes none")
    return "none"


def _port(given: Mapping[str, str], notes: list[str]) -> int:
    text = given.get("OTEL_EXPORTER_PROMETHEUS_PORT", str(METRICS_PORT)).strip()
    if _PORT.fullmatch(text) and int(text) <= 65535:  # noqa: PLR2004 - the range of ports
        return int(text)
    notes.append(
        f"OTEL_EXPORTER_PROMETHEUS_PORT is {text!r}; a port is a number from 0 to 65535, and {METRICS_PORT} is taken"
    )
    return METRICS_PORT


def _capture(argument: str | None, given: Mapping[str, str]) -> Capture:
    name, text = "TACHOGRAPH_CAPTURE", given.get("TACHOGRAPH_CAPTURE", "off").strip().lower()
    if argument is not None:
        name, text = "capture", argument
    for level in _CAPTURES:
        if level == text:
            return level
    raise UsageError(f"{name} is {text!r}; content can be {', '.join(_CAPTURES[:-1])} or {_CAPTURES[-1]}.")


def _presidio(given: Mapping[str, str]) -> Analyzer | None:
    if not _switch(given, "TACHOGRAPH_PRESIDIO", "off"):
        return None
    from tachograph.privacy.analyzer import Presidio

    return Presidio()


def _switch(given: Mapping[str, str], name: str, default: str = "on") -> bool:
    text = given.get(name, default).strip().lower()
    if text not in _TRUE | _FALSE:
        raise UsageError(f"{name} is {given[name]!r}; it can be on or off.")
    return text in _TRUE


def _baggage(given: Mapping[str, str]) -> BaggageMode:
    text = given.get("TACHOGRAPH_BAGGAGE", "send")
    for mode in _BAGGAGE:
        if mode == text.strip().lower():
            return mode
    raise UsageError(f"TACHOGRAPH_BAGGAGE is {text!r}; it can be {', '.join(_BAGGAGE[:-1])} or {_BAGGAGE[-1]}.")


def _tenant_hashed(given: Mapping[str, str]) -> bool:
    text = given.get("TACHOGRAPH_TENANT", "plain")
    if text not in {"plain", "hashed"}:
        raise UsageError(f"TACHOGRAPH_TENANT is {text!r}; tenants are recorded plain or hashed.")
    if text == "hashed" and "TACHOGRAPH_HASH_KEY" not in given:
        raise UsageError("TACHOGRAPH_TENANT is hashed and there is no key: set TACHOGRAPH_HASH_KEY to a secret.")
    return text == "hashed"


def _share(argument: str, value: float | None, given: Mapping[str, str], name: str) -> float | None:
    """A share from 0 to 1, None where neither the argument nor the variable is given."""
    said: object = given.get(name) if value is None else value
    if said is None:
        return None
    try:
        share = float(said)  # pyright: ignore[reportArgumentType] - what is no number is found out here
    except (TypeError, ValueError):
        share = math.nan
    if not 0 <= share <= 1:
        raise UsageError(f"{name if value is None else argument} is {said!r}; it can be a share from 0 to 1.")
    return share


def _seconds(given: Mapping[str, str], name: str, default: float) -> float:
    text = given.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UsageError(f"{name} is {text!r}, which is not a number of seconds.")
    return value
