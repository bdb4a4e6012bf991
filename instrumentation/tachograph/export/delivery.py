"""One signal's way out of the process: each exporter that was asked for, with a queue and a worker of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tachograph.export.answer import Answer
from tachograph.export.batch import BatchProcessor, Limits
from tachograph.export.destination import Destination, destination, ways
from tachograph.export.exporter import Exporter, Inner, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

    from tachograph.config import Config
    from tachograph.export.destination import Signal


@dataclass(frozen=True, slots=True)
class Delivery:
    """The queues of one signal, and where they lead, as it may be printed."""

    batches: tuple[BatchProcessor, ...] = ()
    shown: str = ""

    def on_end(self, span: ReadableSpan) -> None:
        """Takes a span into each queue."""
        for batch in self.batches:
            batch.on_end(span)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Takes a record into each queue."""
        for batch in self.batches:
            batch.on_emit(log_record)

    @property
    def sinks(self) -> tuple[BatchProcessor | Delivery, ...]:
        """One at most: the only queue, or what feeds all of them."""
        return self.batches if len(self.batches) <= 1 else (self,)


def deliver(signal: Signal, outgoing: Callable[[Any], Any], config: Config, tally: Tally, notes: list[str]) -> Delivery:
    """What the configuration and the environment ask for; nothing where they ask for none."""
    exporters: list[Exporter[Any]] = []
    shown: list[str] = []
    limits = Limits.of(signal, notes=notes)
    for way in ways(signal, config, notes):
        if way == "otlp":
            to = destination(signal, config, notes)
            answer, connect = _otlp(to)
            shown.append(to.shown.replace(f"/v1/{signal}", ""))
        else:
            answer, connect = None, partial(_console, signal)
            shown.append("the console")
        exporters.append(Exporter(signal, connect, outgoing, tally, answer=answer, patience_s=config.patience_s))
    # Last, for each has a thread: nothing that fails before leaves one behind.
    return Delivery(tuple(BatchProcessor(signal, each, tally, limits) for each in exporters), " and ".join(shown))


def places(traces: Delivery, logs: Delivery) -> list[str]:
    """Sentences for the report."""
    if traces.shown == logs.shown:
        return [f"traces and events go to {traces.shown}"] if traces.shown else []
    pairs = (("traces", traces), ("events", logs))
    return [f"{what} go to {delivery.shown}" for what, delivery in pairs if delivery.shown]


def _otlp(to: Destination) -> tuple[Answer | None, Callable[[], Inner[Any]]]:
    if to.protocol == "grpc":
        from tachograph.export import otlp_grpc

        answer = Answer()
        return answer, partial(otlp_grpc.connect, to, answer)
    from tachograph.export import otlp

    answer = None if otlp.has_credential_provider(to.signal) else Answer()
    return answer, partial(otlp.connect, to, answer)


def _console(signal: Signal) -> Inner[Any]:
    import sys

    if signal == "traces":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stdout)
    from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter

    return ConsoleLogRecordExporter(out=sys.stdout)
