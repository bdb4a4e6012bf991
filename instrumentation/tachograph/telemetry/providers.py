"""The process's providers: those that the application has set, else ours, which give way when it sets its own later.

OpenTelemetry lets a global provider be set once. An application that sets its own after instrument() would find ours in
the way, and its spans would go where we send, not where it does. So the lock of a provider of ours opens once more.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from opentelemetry import trace
from opentelemetry._logs import _internal as logs_api
from opentelemetry.metrics import _internal as metrics_api
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits, LogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider, TraceBasedExemplarFilter
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from typing_extensions import override

from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.sdk.trace.sampling import Sampler

P = TypeVar("P", TracerProvider, LoggerProvider, MeterProvider)

# OpenTelemetry's own defaults, for a process whose OTEL_*_LIMIT cannot be read.
_ATTRIBUTES: Final = 128
_NO_LIMIT: Final = -1


@dataclass(frozen=True, slots=True)
class Signal:
    """Where OpenTelemetry's API keeps the global provider of one signal, and the lock that lets it be set once.

    `unset` is what the API gives out before a provider is set.
    """

    name: str
    api: ModuleType
    lock: str
    unset: type

    def get(self) -> object:
        """The global provider, or `unset`'s stand-in; raises for one that the environment names and is not there."""
        return getattr(self.api, f"get_{self.name}_provider")()

    def set(self, provider: object) -> None:
        """Makes `provider` the global one; OpenTelemetry logs a warning where there is one."""
        getattr(self.api, f"set_{self.name}_provider")(provider)


TRACES: Final = Signal("tracer", trace, "_TRACER_PROVIDER_SET_ONCE", trace.ProxyTracerProvider)
LOGS: Final = Signal("logger", logs_api, "_LOGGER_PROVIDER_SET_ONCE", logs_api.ProxyLoggerProvider)
METRICS: Final = Signal("meter", metrics_api, "_METER_PROVIDER_SET_ONCE", metrics_api._ProxyMeterProvider)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]: the API has no public name for it

_ours: list[object] = []  # the global providers that we set: a later instrument() exports from them again
_heirs: dict[Signal, Callable[[object], None]] = {}


def tracer_provider(resource: Resource, sampler: Sampler, notes: list[str]) -> tuple[TracerProvider, bool]:
    """The provider of spans, and whether it is ours; `sampler` is for ours only."""

    def make() -> TracerProvider:
        try:
            return TracerProvider(sampler, resource)
        except ValueError as error:
            notes.append(f"{error}; the limits of spans are OpenTelemetry's defaults")
            return TracerProvider(sampler, resource, span_limits=_span_limits())

    provider, own = _provider(TRACES, TracerProvider, make, notes)
    if own:
        provider.sampler = sampler
    return provider, own


def logger_provider(resource: Resource, notes: list[str]) -> tuple[LoggerProvider, bool]:
    """The provider of events, and whether it is ours."""

    def make() -> LoggerProvider:
        try:
            return LoggerProvider(resource)
        except ValueError as error:
            notes.append(f"{error}; the limits of events are OpenTelemetry's defaults")
            return LoggerProvider(resource, log_record_limits=_log_limits())

    return _provider(LOGS, LoggerProvider, make, notes)


def meter_provider(resource: Resource, notes: list[str]) -> MeterProvider:
    """The provider of metrics."""

    def make() -> MeterProvider:
        try:
            return MeterProvider(resource=resource)
        except ValueError as error:
            notes.append(f"OTEL_METRICS_EXEMPLAR_FILTER: {error} Exemplars are those of sampled spans")
            return MeterProvider(resource=resource, exemplar_filter=TraceBasedExemplarFilter())

    return _provider(METRICS, MeterProvider, make, notes)[0]


def on_replaced(signal: Signal, heir: Callable[[object], None] | None) -> None:
    """Calls `heir` with the provider that the application sets in place of ours; None calls nothing any more."""
    if heir is None:
        _heirs.pop(signal, None)
    else:
        _heirs[signal] = heir


def unwrapped(provider: object, kind: type[P]) -> P | None:
    """The SDK's provider, also inside a wrapper that shows it as `provider`, as Logfire's does; None for another."""
    inner: object = provider if isinstance(provider, kind) else getattr(provider, "provider", None)
    return inner if isinstance(inner, kind) else None


def _provider(signal: Signal, kind: type[P], make: Callable[[], P], notes: list[str]) -> tuple[P, bool]:
    try:
        present = signal.get()
    except Exception as error:  # noqa: BLE001  one that OTEL_PYTHON_*_PROVIDER names and that cannot be loaded
        notes.append(f"the {signal.name} provider that the environment names cannot be loaded ({type(error).__name__})")
        return make(), True
    found = unwrapped(present, kind)
    if found is not None:
        return found, found in _ours
    made = make()
    if isinstance(present, signal.unset):
        _ours.append(made)
        signal.set(made)
        _open(signal)
    else:
        notes.append(
            f"the application's {signal.name} provider ({type(present).__name__}) is not the SDK's and is left alone: "
            "tachograph has one of its own beside it"
        )
    return made, True


class _Once(Protocol):
    """OpenTelemetry's lock of a global provider."""

    def do_once(self, func: Callable[[], None]) -> bool:
        """Whether this call was the first, and so ran `func`."""
        ...


class _OnceMore:
    """In place of the lock of a provider of ours: the next one that is set takes its place, then all is as before."""

    def __init__(self, signal: Signal, before: _Once) -> None:
        self._signal = signal
        self._before = before
        self._lock = threading.Lock()
        self._open = True

    def do_once(self, func: Callable[[], None]) -> bool:
        with self._lock:
            first, self._open = self._open, False
        if not first:
            return self._before.do_once(func)
        func()
        setattr(self._signal.api, self._signal.lock, self._before)
        _replaced(self._signal)
        return True


def _open(signal: Signal) -> None:
    before: _Once | None = getattr(signal.api, signal.lock, None)
    if before is not None:  # an OpenTelemetry without it warns of the second provider, as it does without us
        setattr(signal.api, signal.lock, _OnceMore(signal, before))


@guarded("instrument", None)
def _replaced(signal: Signal) -> None:
    heir = _heirs.get(signal)
    if heir is not None:
        heir(signal.get())


class ForwardedSpans(SpanProcessor):
    """Hands the spans of tracers that were made before the application set its provider to that one's processors."""

    def __init__(self, theirs: TracerProvider) -> None:
        self._processor: SpanProcessor = theirs._active_span_processor  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]: the SDK has no other way in

    @override
    @guarded("processor", None)
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._processor.on_start(span, parent_context)

    @override
    @guarded("processor", None)
    def on_end(self, span: ReadableSpan) -> None:
        self._processor.on_end(span)


class ForwardedLogs(LogRecordProcessor):
    """Hands the records of loggers that were made before the application set its provider to that one's processors."""

    def __init__(self, theirs: LoggerProvider) -> None:
        self._processor: LogRecordProcessor = theirs._multi_log_record_processor  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]: the SDK has no other way in

    @override
    @guarded("processor", None)
    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self._processor.on_emit(log_record)

    @override
    def shutdown(self) -> None:
        """The application's provider is the application's to shut down."""

    @override
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """The application's provider is the application's to flush."""
        return True


def _span_limits() -> SpanLimits:
    return SpanLimits(
        _ATTRIBUTES, _ATTRIBUTES, _ATTRIBUTES, _ATTRIBUTES, _ATTRIBUTES, _ATTRIBUTES, _NO_LIMIT, _NO_LIMIT
    )


def _log_limits() -> LogRecordLimits:
    return LogRecordLimits(_ATTRIBUTES, _NO_LIMIT, _ATTRIBUTES, _NO_LIMIT)
