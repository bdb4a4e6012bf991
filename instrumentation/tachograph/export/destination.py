"""Where one signal goes and how: OTLP over HTTP or gRPC, or the console; from instrument() first, then from OTEL_*.

What is read here is what the exporters are given, so that the report names the very address that is used. A variable
that makes no sense is passed over with a note: it may be meant for another part of the process.
"""

from __future__ import annotations

import logging
import math
import os
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, get_args

from tachograph.config import OtlpProtocol, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tachograph.config import Config

Signal = Literal["traces", "logs", "metrics"]
Compression = Literal["gzip", "deflate", "none"]
Way = Literal["otlp", "console"]

ATTEMPT_S: Final = 5.0  # leaves an exporter of the SDK room for one retry of its own: they are 1, 2, 4 … s apart
DEFAULTS: Final[Mapping[OtlpProtocol, str]] = {
    "http/protobuf": "http://127.0.0.1:4318",
    "grpc": "http://127.0.0.1:4317",
}

_GRPC_MISSING: Final = "OTLP over gRPC needs an exporter that is not installed: pip install 'tachograph[grpc]'"
_FILES: Final = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")
# The names that Python's SDK has for its two OTLP exporters, beside OpenTelemetry's own "otlp".
_BY_NAME: Final[Mapping[str, OtlpProtocol]] = {"otlp_proto_http": "http/protobuf", "otlp_proto_grpc": "grpc"}

_log = logging.getLogger("tachograph")


@dataclass(frozen=True, slots=True)
class Destination:
    """The address of one signal as its exporter takes it, and what an attempt may cost.

    `endpoint` is a whole URL for HTTP, scheme, host and port for gRPC. `headers` are those of instrument(); those of
    the environment are the exporters' to read, and so are certificates.
    """

    signal: Signal
    endpoint: str
    protocol: OtlpProtocol = "http/protobuf"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float = ATTEMPT_S
    compression: Compression = "gzip"

    @property
    def shown(self) -> str:
        """The address as it may be printed: without user, password, query and fragment."""
        address = shown(self.endpoint)
        return f"{address} over gRPC" if self.protocol == "grpc" else address


def destination(
    signal: Signal, config: Config, notes: list[str], environ: Mapping[str, str] = os.environ
) -> Destination:
    """Where `signal` goes over OTLP; adds to `notes` what was passed over."""
    given = _Variables(signal, environ)
    protocol = _protocol(config, given, notes)
    for kind in _FILES:
        name, path = given.find(kind)
        if path and not os.access(path, os.R_OK):
            _note(notes, f"{name} is {path!r}, a file that cannot be read: what needs it will not get through")
    return Destination(
        signal,
        _endpoint(signal, protocol, config, given, notes),
        protocol,
        config.headers,
        _timeout(given, protocol, notes),
        _compression(given, notes),
    )


def ways(signal: Signal, config: Config, notes: list[str], environ: Mapping[str, str] = os.environ) -> tuple[Way, ...]:
    """The exporters that OTEL_TRACES_EXPORTER or OTEL_LOGS_EXPORTER asks for; `endpoint=` asks for OTLP itself."""
    name = f"OTEL_{signal.upper()}_EXPORTER"
    asked = environ.get(name, "").strip().lower() or "otlp"
    found: set[Way] = {"otlp"} if config.endpoint_given else set()
    for part in filter(None, map(str.strip, asked.split(","))):
        if part == "otlp" or part in _BY_NAME:
            found.add("otlp")
        elif part == "console":
            found.add("console")
        elif part != "none":
            _note(notes, f"{name} names {part!r}; tachograph knows otlp, console and none, and passes it over")
    return tuple(way for way in get_args(Way) if way in found)


@dataclass(frozen=True, slots=True)
class _Variables:
    """OTEL_EXPORTER_OTLP_*: the signal's own variable wins over the general one, an empty one counts as unset."""

    signal: Signal
    environ: Mapping[str, str]

    def find(self, kind: str) -> tuple[str, str]:
        """Name and value of the variable that counts; the value is empty where there is none."""
        name = f"OTEL_EXPORTER_OTLP_{self.signal.upper()}_{kind}"
        value = self.environ.get(name, "").strip()
        if value:
            return name, value
        name = f"OTEL_EXPORTER_OTLP_{kind}"
        return name, self.environ.get(name, "").strip()


def _protocol(config: Config, given: _Variables, notes: list[str]) -> OtlpProtocol:
    asked = config.protocol or _named(given, notes)
    if asked == "grpc" and not grpc_is_installed():
        sentence = f"{_GRPC_MISSING}. Until then OTLP goes over HTTP"
        if sentence not in notes:  # said aloud, for whoever asked for gRPC may have nothing that listens for HTTP
            _log.warning("tachograph: %s.", sentence)
        _note(notes, sentence)
        return "http/protobuf"
    return asked


def _named(given: _Variables, notes: list[str]) -> OtlpProtocol:
    exporters = given.environ.get(f"OTEL_{given.signal.upper()}_EXPORTER", "")
    for part in exporters.lower().split(","):
        if part.strip() in _BY_NAME:
            return _BY_NAME[part.strip()]
    name, text = given.find("PROTOCOL")
    for protocol in get_args(OtlpProtocol):
        if protocol == text.lower():
            return protocol
    if text:
        _note(notes, f"{name} is {text!r}; tachograph knows http/protobuf and grpc, and takes http/protobuf")
    return "http/protobuf"


def grpc_is_installed() -> bool:
    """Whether the extra [grpc] is there and loads; costs its import, so ask only where gRPC was asked for."""
    try:
        import_module("tachograph.export.otlp_grpc")
    except ImportError:
        return False
    return True


def _endpoint(signal: Signal, protocol: OtlpProtocol, config: Config, given: _Variables, notes: list[str]) -> str:
    name, text = given.find("ENDPOINT")
    if config.endpoint_given:
        name, text = "OTEL_EXPORTER_OTLP_ENDPOINT", config.endpoint
    elif text and protocol == "http/protobuf" and not text.lower().startswith(("http://", "https://")):
        _note(notes, f"{name} is {shown(text)!r}, which is no URL; {DEFAULTS[protocol]} is taken")
        text = ""
    base = (text or DEFAULTS[protocol]).rstrip("/")
    whole = protocol == "grpc" or (bool(text) and name != "OTEL_EXPORTER_OTLP_ENDPOINT")
    return base if whole else f"{base}/v1/{signal}"


def _timeout(given: _Variables, protocol: OtlpProtocol, notes: list[str]) -> float:
    """Seconds: the specification says milliseconds, Python's SDK has always read seconds, and so do its users."""
    name, text = given.find("TIMEOUT")
    try:
        seconds = float(text or ATTEMPT_S)
    except ValueError:
        seconds = math.nan
    if 0 < seconds < math.inf:
        return seconds
    if protocol == "grpc" and given.signal.upper() in name:  # read by the SDK's exporter whatever it is given
        _note(
            notes, f"{name} is {text!r}, with which OTLP over gRPC fails: {given.signal} are lost until it is a number"
        )
    else:
        _note(notes, f"{name} is {text!r}, which is no number of seconds; {ATTEMPT_S:g} are taken")
    return ATTEMPT_S


def _compression(given: _Variables, notes: list[str]) -> Compression:
    """Gzip unless the application chose: bodies shrink to about a tenth."""
    name, text = given.find("COMPRESSION")
    for known in get_args(Compression):
        if known == (text.lower() or "gzip"):
            return known
    _note(notes, f"{name} is {text!r}; tachograph knows gzip, deflate and none, and takes gzip")
    return "gzip"


def _note(notes: list[str], sentence: str) -> None:
    """Once, though each signal finds it."""
    if sentence not in notes:
        notes.append(sentence)
