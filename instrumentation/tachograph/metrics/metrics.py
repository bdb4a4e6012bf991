"""The registry's metrics as OpenTelemetry instruments, recorded at the source and never sampled."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, cast
from weakref import WeakMethod, WeakSet

from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, get_current_span, set_span_in_context

from tachograph.metrics.ledger import Ledger
from tachograph.privacy.redaction import redact
from tachograph.registry import instruments
from tachograph.registry.names import GEN_AI_AGENT_NAME
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.metrics import _Gauge as Gauge
    from opentelemetry.trace import SpanContext

    from tachograph.metrics.ledger import Labels, Note
    from tachograph.registry.instruments import Instrument

_OVERFLOW = {"otel.metric.overflow": True}  # OpenTelemetry's label set for what is beyond a limit
_DRAIN = "tachograph.metrics.drain"  # has no value ever, so no reader shows it


class Metrics:
    """All metrics of the agent side on one meter.

    A step only writes its values down; they reach the SDK when one of its readers collects. An SDK call costs ten
    times as much as a note, and a step makes up to six. Exemplars keep their span; their time is that of the collect.
    """

    def __init__(self, meter: Meter, *, clerk: bool = False) -> None:
        self._made = {definition.name: _make(meter, definition) for definition in instruments.ALL}
        self._overflows = meter.create_counter(instruments.METRICS_OVERFLOWS.name, instruments.METRICS_OVERFLOWS.unit)
        self._series: dict[str, set[tuple[object, ...]]] = {definition.name: set() for definition in instruments.ALL}
        self._gauges: dict[tuple[str, Labels], tuple[Instrument, float]] = {}  # as last set, for forked children
        self._agents: list[str] = []
        self._ledger = Ledger(self._post, clerk=clerk)
        # Readers ask callbacks before they read the other instruments. A meter keeps the first callback of a name, so
        # it is one for all.
        _open.add(self)
        self._closed = False
        meter.create_observable_gauge(_DRAIN, [_collected])
        if hasattr(os, "register_at_fork"):
            weak = WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (again := weak()) and again())

    @guarded("export", None)
    def _after_fork(self) -> None:
        """A child's readers begin at 0: what is always there is created again, gauges are set again."""
        newer = self._ledger.take_back()
        self._series = {definition.name: set() for definition in instruments.ALL}
        agents, gauges = tuple(self._agents), tuple(self._gauges.items())

        def inherited() -> Iterable[Note]:  # asked for when somebody sums up: a fork is a step of the agent's
            for agent in agents:
                yield from _zeros(agent)
            for (_, labels), (instrument, value) in gauges:
                yield instrument, value, labels, INVALID_SPAN_CONTEXT
            yield from newer

        self._ledger.begin_with(inherited)

    def record(self, instrument: Instrument, value: float, labels: Mapping[str, object]) -> None:
        """Adds to a counter, sets a gauge or observes a histogram; labels are redacted, None is left out."""
        self.record_all(labels, (instrument, value))

    def record_all(self, labels: Mapping[str, object], *values: tuple[Instrument, float]) -> None:
        """Records several values of one step; each takes the labels that its instrument has."""
        said = labels.get
        span = get_current_span().get_span_context()
        for instrument, value in values:
            self._ledger.note(instrument, value, tuple(map(said, instrument.labels)), span)
        if self._closed:
            self.drain()

    def drain(self) -> None:
        """Hands everything noted so far to the SDK."""
        self._ledger.drain()

    def waiting(self) -> bool:
        """Whether something was recorded that the SDK has not been told."""
        return self._ledger.waiting()

    def close(self) -> None:
        """Hands over everything; steps that end later tell the SDK themselves, for nobody will ask here."""
        self._closed = True
        self._ledger.close()
        self.drain()

    def born(self, agent: str) -> None:
        """Creates every series that must exist at 0 before its first event, for one agent.

        `increase()` does not see the first event of a counter that is born at 1 (measured with promtool).
        """
        self._agents.append(agent)
        for note in _zeros(agent):
            self._ledger.note(*note)
        if self._closed:
            self.drain()

    def _post(self, instrument: Instrument, value: float, labels: Labels, span: SpanContext) -> None:
        said = {
            label: _redacted(value) if isinstance(value, str) else value
            for label, value in zip(instrument.labels, labels, strict=True)
            if value is not None
        }
        kept = self._within_limit(instrument, said)
        context = set_span_in_context(NonRecordingSpan(span), Context()) if span.is_valid else Context()
        made = self._made[instrument.name]
        if isinstance(made, Histogram):
            made.record(value, kept, context)  # pyright: ignore[reportArgumentType] - None was taken out
        elif isinstance(made, Counter | UpDownCounter):
            made.add(value, kept, context)  # pyright: ignore[reportArgumentType] - None was taken out
        else:
            if kept is not _OVERFLOW:
                self._gauges[instrument.name, labels] = instrument, value
            made.set(value, kept, context)  # pyright: ignore[reportArgumentType] - None was taken out

    def _within_limit(self, instrument: Instrument, labels: Mapping[str, object]) -> Mapping[str, object]:
        """The labels, or those of the overflow series where the instrument has as many label sets as it may."""
        known, series = self._series[instrument.name], tuple(labels.items())
        if series not in known:
            if len(known) >= instrument.limit:
                self._overflows.add(1)
                return _OVERFLOW
            known.add(series)
        return labels


def _zeros(agent: str) -> Iterable[Note]:
    for instrument in instruments.ALL:
        for values in instrument.zero:
            said = {**dict(zip(instrument.zero_labels, values, strict=True)), GEN_AI_AGENT_NAME: agent}
            yield instrument, 0, tuple([said.get(label) for label in instrument.labels]), INVALID_SPAN_CONTEXT


_open: WeakSet[Metrics] = WeakSet()


@guarded("export", cast("Iterable[Observation]", ()))
def _collected(_: CallbackOptions) -> Iterable[Observation]:
    for metrics in list(_open):
        metrics.drain()
    return ()


@lru_cache(maxsize=4096)  # labels have few values, which come again and again
def _redacted(value: str) -> str:
    return redact(value).text


def _make(meter: Meter, definition: Instrument) -> Counter | Histogram | UpDownCounter | Gauge:
    name, unit, brief = definition.name, definition.unit, definition.brief
    match definition.kind:
        case "counter":
            return meter.create_counter(name, unit, brief)
        case "updowncounter":
            return meter.create_up_down_counter(name, unit, brief)
        case "gauge":
            return meter.create_gauge(name, unit, brief)
        case _:
            return meter.create_histogram(name, unit, brief, explicit_bucket_boundaries_advisory=definition.buckets)
