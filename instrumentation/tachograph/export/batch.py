"""The queue between the agent and the exporter: never blocks the agent, never grows beyond its bound.

The SDK's own batch processors log a line for each drop, drop the oldest, and flush for as long as the endpoint likes.
Here a full queue drops the newest item and counts it; flushing is bounded and says honestly whether everything arrived.
"""

from __future__ import annotations

import copy
import os
import threading
import time
import weakref
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # pyright: ignore[reportPrivateUsage]: the SDK has no public name for it
    Context,
    attach,
    set_value,
)
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from tachograph.registry.instruments import TELEMETRY_DROPPED
from tachograph.registry.names import DROP_REASON, SIGNAL
from tachograph.telemetry import guard
from tachograph.telemetry.lock import BriefLock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph.export.exporter import Tally

SHUTDOWN_S: Final = 2.0
_LOOK_S: Final = 0.02  # between two looks for company: at 5,000 items a second 100 of the 2,048 that a queue holds
_DIGITS: Final = 10  # a longer number of milliseconds is more than threads can wait for


@dataclass(frozen=True, slots=True)
class Limits:
    """Items that may wait, items of one export, seconds that an item waits for company."""

    queue: int = 4096
    batch: int = 512
    delay_s: float = 1.0

    @classmethod
    def of(cls, signal: str, environ: Mapping[str, str] = os.environ, notes: list[str] | None = None) -> Limits:
        """From OTEL_BSP_* for traces, OTEL_BLRP_* for logs; no positive number is passed over, with a note."""
        default, said = cls(), notes if notes is not None else []

        def positive(name: str, otherwise: int) -> int:
            name = f"{'OTEL_BSP_' if signal == 'traces' else 'OTEL_BLRP_'}{name}"
            text = environ.get(name, "").strip()
            if text.isdecimal() and len(text) < _DIGITS and int(text):
                return int(text)
            if text:
                said.append(f"{name} is {text!r}, which is no positive number; {otherwise} is taken")
            return otherwise

        queue = positive("MAX_QUEUE_SIZE", default.queue)
        batch = positive("MAX_EXPORT_BATCH_SIZE", default.batch)
        delay_ms = positive("SCHEDULE_DELAY", int(default.delay_s * 1000))
        return cls(queue, min(batch, queue), delay_ms / 1000)


class Sink(Protocol):
    """Where batches go: `exporter.Exporter`."""

    lost: int

    def export(self, batch: Sequence[Any]) -> bool:
        """Blocks until the batch is delivered or lost."""
        ...

    def drain(self, deadline: float) -> None:
        """Ends attempts at `deadline` on the monotonic clock."""
        ...

    def shutdown(self, timeout_s: float = ...) -> None:
        """Ends attempts now."""
        ...

    def after_fork(self) -> None:
        """Starts anew in a forked child."""
        ...


@dataclass(slots=True)
class _Marker:
    """Stands in the queue: everything before it has been dealt with once it is reached."""

    stop: bool = False
    reached: threading.Event = field(default_factory=threading.Event)


class BatchProcessor(SpanProcessor, LogRecordProcessor):
    """Takes ended, sampled spans or emitted log records, and hands them to `sink` in batches from a daemon thread.

    Taking an item costs one append to a lock-free queue, also from a finalizer. After a fork the child starts with an
    empty queue and a thread of its own.
    """

    def __init__(self, signal: str, sink: Sink, tally: Tally, limits: Limits | None = None) -> None:
        self._signal = signal
        self._sink = sink
        self._tally = tally
        self._limits = limits or Limits.of(signal)
        self._start()
        if hasattr(os, "register_at_fork"):
            weak = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (again := weak()) and again())

    def _start(self) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._drop_lock = BriefLock()
        self._dropped = 0
        self._reported = 0
        self._closed = False
        self._abandoned = False
        self._deadline = 0.0
        self._thread = threading.Thread(
            target=guard.guarded("export", None)(self._run), name=f"tachograph-{self._signal}", daemon=True
        )
        self._thread.start()

    @guard.guarded("export", None)
    def _after_fork(self) -> None:
        if not self._closed:
            self._sink.after_fork()
            self._start()

    def on_end(self, span: ReadableSpan) -> None:
        """Takes a span that ended, if it is sampled."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._take(span)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Takes a copy of a log record, without its context, which may hold large objects."""
        record = copy.copy(log_record.log_record)
        record.context = Context()
        resource = log_record.resource or Resource.get_empty()
        self._take(ReadableLogRecord(record, resource, log_record.instrumentation_scope, log_record.limits))

    @property
    def lost(self) -> int:
        """Items that were taken and will not arrive."""
        return self._dropped + self._sink.lost

    def _take(self, item: object) -> None:
        if self._closed:
            self._drop(1, "shutdown")
        elif self._queue.qsize() >= self._limits.queue:
            self._drop(1, "queue_full")
        else:
            self._queue.put(item)

    def _drop(self, count: int, reason: str) -> None:
        with self._drop_lock.held():
            self._dropped += count
        try:
            self._tally(TELEMETRY_DROPPED, count, {SIGNAL: self._signal, DROP_REASON: reason})
        except Exception as error:  # noqa: BLE001  counting must not reach the agent
            guard.failed("export", error)

    def force_flush(self, timeout_millis: int | None = 30_000) -> bool:
        """Whether everything taken since the last flush was delivered, within the time."""
        if self._closed:
            return False
        marker = _Marker()
        self._queue.put(marker)
        if not marker.reached.wait(None if timeout_millis is None else timeout_millis / 1000):
            return False
        before, self._reported = self._reported, self.lost
        return self._reported == before

    def shutdown(self, timeout_s: float = SHUTDOWN_S) -> None:
        """Delivers what it can within `timeout_s`; the rest is counted as lost. A second call does nothing."""
        if self._abandoned:
            return
        self.stop(time.monotonic() + timeout_s * 0.9)  # the rest is for closing connections
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        self._abandoned = True
        self._drop_rest()
        self._queue.put(_Marker(stop=True))  # the thread may just begin to wait, and the rest had what ends it
        self._sink.shutdown(timeout_s * 0.1)

    def stop(self, deadline: float) -> None:
        """Takes nothing more and delivers the rest until `deadline` on the monotonic clock; does not wait for it.

        Several processors that are stopped first and shut down then end side by side.
        """
        if self._closed:
            return
        self._closed = True
        self._deadline = deadline
        self._sink.drain(deadline)
        self._queue.put(_Marker(stop=True))

    def _drop_rest(self) -> None:
        rest = 0
        while not self._queue.empty():
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            if isinstance(item, _Marker):
                item.reached.set()
            else:
                rest += 1
        if rest:
            self._drop(rest, "shutdown")

    def _run(self) -> None:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True))
        queue = self._queue
        while not self._abandoned and queue is self._queue:
            batch, marker = self._collect()
            if batch:
                self._export(batch)
            if marker is not None:
                marker.reached.set()
                if marker.stop:
                    return

    def _collect(self) -> tuple[list[Any], _Marker | None]:
        """Waits for a first item, then for company until the batch is full, its time is up or a marker comes.

        For company it looks again and again: to be woken by each item would cost the thread that brings it.
        """
        batch: list[Any] = []
        item = self._queue.get()
        deadline = time.monotonic() + self._limits.delay_s
        while not isinstance(item, _Marker):
            batch.append(item)
            if len(batch) >= self._limits.batch:
                return batch, None
            while self._queue.empty():
                left = deadline - time.monotonic()
                if left <= 0:
                    return batch, None
                time.sleep(min(_LOOK_S, left))
            item = self._queue.get()
        return batch, item

    def _export(self, batch: list[Any]) -> None:
        try:
            self._sink.export(batch)
        except Exception as error:  # noqa: BLE001  the thread must live on
            guard.failed("export", error)
            self._drop(len(batch), "rejected")
