"""Whole-trace sampling: traces wait until they have ended in this process, then leave whole or not at all.

A trace with something notable in it always leaves; the others by their trace id, as OpenTelemetry's TraceIdRatioBased
decides, so that services agree without asking each other. What leaves says at which rate such traces are kept.
"""

from __future__ import annotations

import contextlib
import copy
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import TraceFlags, get_current_span

from tachograph.registry.names import EVENT_AUDIT_RECORDED
from tachograph.sampling.traces import Traces, is_root
from tachograph.telemetry.guard import failed, guarded

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord
    from opentelemetry.sdk._logs import ReadWriteLogRecord

    from tachograph.export.exporter import Tally
    from tachograph.sampling.raises import RaiseFile
    from tachograph.sampling.traces import Bounds, Item
    from tachograph.telemetry.processor import LogSink, SpanSink

Handle = Callable[[int, Any], None]  # what is done about an arrival: the trace's id, and the item if there is one

ARRIVALS: Final = 16_384  # that nobody looked at yet; what comes beyond them leaves unseen, and its trace is kept
POLL_S: Final = 0.25  # between two looks at what arrived; adds to the second that a batch waits for company
CLOSE_S: Final = 0.5  # of the two seconds that an exit may take
_MOST_UNSEEN: Final = 16_384  # bound of memory
_WAKE_AT: Final = 512  # arrivals that are looked at before that: what one batch takes, so that its queue never fills


class TailSampler:
    """Stands between the taps and our batch processors and lets whole traces through.

    The agent's threads append to a queue and do nothing else, also from finalizers and signal handlers; a daemon
    thread decides. `spans` and `logs` are where things go on, None for what is not exported by us. A failure in here
    lets everything through. `rate` is a share from 0 to 1; see `Traces` for `head_rate` and `bounds`.
    """

    def __init__(
        self,
        rate: float,
        spans: SpanSink | None,
        logs: LogSink | None,
        tally: Tally,
        *,
        raises: RaiseFile | None = None,
        head_rate: float | None = 1.0,
        bounds: Bounds | None = None,
        arrivals: int = ARRIVALS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._rate, self._spans, self._logs, self._tally = rate, spans, logs, tally
        self._raises, self._head_rate, self._now = raises, head_rate, now
        self._bounds, self._most = bounds, arrivals
        self._start()
        if hasattr(os, "register_at_fork"):
            weak = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (again := weak()) and again())

    def _start(self) -> None:
        self._closed = False
        self._arrivals: deque[tuple[Handle, int, Item | None]] = deque()
        self._unseen: dict[int, None] = {}  # traces of which something left unseen
        self._wake: SimpleQueue[None] = SimpleQueue()  # an Event has a lock, which a finalizer could find taken
        self._lock = threading.Lock()  # never held across I/O, never asked for by a hook
        self._traces = Traces(self.rate_of, self._pass_on, self._tally, head_rate=self._head_rate, bounds=self._bounds)
        self._thread = threading.Thread(
            target=guarded("processor", None)(self._run), name="tachograph-sampling", daemon=True
        )
        self._thread.start()

    def _after_fork(self) -> None:
        if self._closed:
            return
        try:
            self._start()  # what waits is the parent's
        except Exception as error:  # noqa: BLE001 - the child goes on, and what it records leaves unsampled
            self._closed = True
            failed("processor", error)

    def rate_of(self, agents: set[str]) -> float:
        """The share that is kept now of traces with these agents in them."""
        raised = 0.0 if self._raises is None else self._raises.rate(agents, self._now())
        return max(self._rate, raised)

    # -- on the agent's threads
    def on_start(self, span: ReadableSpan) -> None:
        """Is told of a span that starts."""
        if span.context is not None and span.context.trace_flags.sampled and is_root(span):
            self._arrive(self._traces.begun, span.context.trace_id)

    def on_end(self, span: ReadableSpan) -> None:
        """Takes an ended span, if its trace was begun to be kept."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._arrive(self._traces.ended, span.context.trace_id, span)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Takes a copy of a log record; an audit entry, and what is outside of all traces, goes on at once."""
        record = log_record.log_record
        trace_id = record.trace_id or 0
        sampled = bool(trace_id) and bool((record.trace_flags or 0) & TraceFlags.SAMPLED)
        if not trace_id or record.event_name == EVENT_AUDIT_RECORDED:
            self._pass_on(log_record)
            if sampled:
                self._arrive(self._traces.noticed, trace_id)
        elif sampled:
            self._arrive(self._traces.emitted, trace_id, _snapshot(log_record, record))

    def notice(self) -> None:
        """Says that something notable happened in the current trace that no attribute tells: a detection, say."""
        context = get_current_span().get_span_context()
        if context.is_valid and context.trace_flags.sampled:
            self._arrive(self._traces.noticed, context.trace_id)

    def _arrive(self, handle: Handle, trace_id: int, item: Item | None = None) -> None:
        waiting = len(self._arrivals)
        if self._closed or waiting >= self._most:
            if len(self._unseen) < _MOST_UNSEEN:
                self._unseen[trace_id] = None
            if item is not None:
                self._pass_on(item)
            return
        self._arrivals.append((handle, trace_id, item))
        if self._closed:  # it was closed meanwhile
            self._let_through()
        elif waiting >= _WAKE_AT and self._wake.empty():
            self._wake.put(None)

    def _pass_on(self, item: Item) -> None:
        if isinstance(item, ReadableSpan):
            if self._spans is not None:
                self._spans.on_end(item)
        elif self._logs is not None:
            self._logs.on_emit(item)

    def _let_through(self) -> None:
        """Passes on what arrived and nobody looked at."""
        while self._arrivals:
            try:
                _, _, item = self._arrivals.popleft()
            except IndexError:  # another thread took it
                return
            if item is not None:
                self._pass_on(item)

    # -- on the sampler's thread, or on the one that flushes or closes
    def _run(self) -> None:
        arrivals = self._arrivals
        while not self._closed and arrivals is self._arrivals:
            with contextlib.suppress(Empty):
                self._wake.get(timeout=POLL_S)
            try:
                if self._raises is not None:
                    self._raises.refresh()
                self.work()
            except Exception as error:  # noqa: BLE001 - the thread must live on
                failed("processor", error)

    def work(self, timeout_s: float = -1) -> bool:
        """Decides about everything that arrived before; False when another thread was at it for `timeout_s` seconds."""
        if not self._lock.acquire(timeout=timeout_s):
            return False
        try:
            traces = self._traces
            for _ in range(len(self._unseen)):
                self._guarded(traces.keep, self._unseen.popitem()[0])
            for _ in range(len(self._arrivals)):
                self._guarded(*self._arrivals.popleft())
            for trace_id in traces.due():
                self._guarded(traces.decide, trace_id)
            for trace_id in traces.overdue():
                self._guarded(traces.keep, trace_id)
        finally:
            self._lock.release()
        return True

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Lets everything through that waits, and what comes later too."""
        self._closed = True
        self._wake.put(None)
        try:
            self.work(timeout_s)
        except Exception as error:  # noqa: BLE001 - what it did not see is let through below
            failed("processor", error)
        self._let_through()
        for trace_id in self._traces.waiting():
            self._guarded(self._traces.keep, trace_id)

    def _guarded(self, handle: Handle, trace_id: int, item: Item | None = None) -> None:
        try:
            handle(trace_id, item)
        except Exception as error:  # noqa: BLE001 - whatever is wrong in here, nothing may be lost by it
            failed("processor", error)
            self._traces.rescue(trace_id, item)


def _snapshot(log_record: ReadWriteLogRecord, record: LogRecord) -> ReadWriteLogRecord:
    """A copy as of now without its context, which may hold large objects."""
    kept, inner = copy.copy(log_record), copy.copy(record)
    inner.context = Context()
    kept.log_record = inner
    return kept
