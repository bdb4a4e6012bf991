"""The registry's metrics as OpenTelemetry instruments, recorded at the source and never sampled."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from weakref import WeakSet

from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter
from opentelemetry.trace import NonRecordingSpan, get_current_span, set_span_in_context

from tachograph.registry import instruments
from tachograph.registry.names import GEN_AI_AGENT_NAME
from tachograph.telemetry.ledger import Ledger
from tachograph.telemetry.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.metrics import _Gauge as Gauge
    from opentelemetry.trace import SpanContext

    from tachograph.registry.instruments import Instrument
    from tachograph.telemetry.ledger import Labels

_DRAIN = "tachograph.metrics.drain"  # has no value ever, so no reader shows it


class Metrics:
    """All metrics of the agent side on one meter.

    A step only writes its values down; they reach the SDK when one of its readers collects. An SDK call costs ten
    times as much as a note, and a step makes up to six. Exemplars keep their span; their time is that of the collect.
    """

    def __init__(self, meter: Meter) -> None:
        self._made = {definition.name: _make(meter, definition) for definition in instruments.ALL}
        self._ledger = Ledger(self._post)
        # Readers ask callbacks before they read the other instruments. A meter keeps the first callback of a name, so
        # it is one for all.
        _open.add(self)
        self._closed = False
        meter.create_observable_gauge(_DRAIN, [_collected])

    def record(self, instrument: Instrument, value: float, labels: Mapping[str, object]) -> None:
        """Adds to a counter, sets a gauge or observes a histogram; labels are redacted, None is left out."""
        said = labels.get
        values = tuple([said(label) for label in instrument.labels])
        span = get_current_span().get_span_context()
        if self._closed:
            self._post(instrument, value, values, span)
        else:
            self._ledger.note(instrument, value, values, span)

    def drain(self) -> None:
        """Hands everything noted so far to the SDK."""
        self._ledger.drain()

    def close(self) -> None:
        """Hands over everything; steps that end later tell the SDK themselves, for nobody will ask here."""
        self._closed = True
        self.drain()

    def born(self, agent: str) -> None:
        """Creates every series that must exist at 0 before its first event, for one agent.

        `increase()` does not see the first event of a counter that is born at 1 (measured with promtool).
        """
        for instrument in instruments.ALL:
            for values in instrument.zero:
                labels = dict(zip(instrument.zero_labels, values, strict=True))
                self.record(instrument, 0, {**labels, GEN_AI_AGENT_NAME: agent})

    def _post(self, instrument: Instrument, value: float, labels: Labels, span: SpanContext) -> None:
        kept = {
            label: _redacted(said) if isinstance(said, str) else said
            for label, said in zip(instrument.labels, labels, strict=True)
            if said is not None
        }
        context = set_span_in_context(NonRecordingSpan(span), Context()) if span.is_valid else Context()
        made = self._made[instrument.name]
        if isinstance(made, Histogram):
            made.record(value, kept, context)  # pyright: ignore[reportArgumentType] - None was taken out
        elif isinstance(made, Counter | UpDownCounter):
            made.add(value, kept, context)  # pyright: ignore[reportArgumentType] - None was taken out
        else:
            made.set(value, kept, context)  # pyright: ignore[reportArgumentType] - None was taken out


_open: WeakSet[Metrics] = WeakSet()


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
