"""The traces of a process while they are sampled: what waits for a decision, the decisions, and what they let through.

Whoever calls sees to it that one thread at a time does.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from opentelemetry.sdk._logs import ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from tachograph.registry import names as n
from tachograph.registry.instruments import SAMPLING_DECISIONS
from tachograph.sampling.notable import notable_log, notable_span
from tachograph.sampling.stamp import stamped

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.export.exporter import Tally

Item = ReadableSpan | ReadWriteLogRecord
Reason = Literal["notable", "drawn", "dropped", "early"]

_BELOW: Final = TraceIdRatioBased.TRACE_ID_LIMIT  # the 64 lower bits, by which OpenTelemetry decides


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of memory and time: what is over them leaves early, undecided and so kept.

    `traces`, `items` of all of them and `items_of_one` that wait for a decision; seconds that a trace waits for its
    root (`age_s`), or for company where its root began in another process or before instrument() (`orphan_s`);
    `decisions` that are remembered for what comes late.
    """

    traces: int = 2_048
    items: int = 16_384
    items_of_one: int = 1_024
    age_s: float = 600.0
    orphan_s: float = 5.0
    decisions: int = 16_384


@dataclass(slots=True)
class _Waiting:
    """A trace without a decision; times are of the monotonic clock."""

    since: float
    latest: float
    roots: int = 0  # that began here and have not ended
    notable: bool = False
    runs: bool = False
    agents: set[str] = field(default_factory=set[str])
    items: list[Item] = field(default_factory=list[Item])


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a trace: kept at `rate`, 0 for dropped; `runs` for one in which a run began."""

    rate: float
    runs: bool = True


class Traces:
    """Holds the items of each trace until its last root of this process has ended, then passes them on or forgets them.

    `rate` tells the share to keep of traces with these agents and nothing notable in them; `head_rate` is the share
    that the provider's own sampler begins, None where it cannot be asked.
    """

    def __init__(
        self,
        rate: Callable[[set[str]], float],
        pass_on: Callable[[Item], None],
        tally: Tally,
        *,
        head_rate: float | None = 1.0,
        bounds: Bounds | None = None,
    ) -> None:
        self._rate, self._pass_on, self._tally, self._head_rate = rate, pass_on, tally, head_rate
        self._bounds = bounds or Bounds()
        self._waiting: dict[int, _Waiting] = {}
        self._items = 0
        self._decided: OrderedDict[int, Decision] = OrderedDict()

    # -- what arrives
    def begun(self, trace_id: int, _: None = None) -> None:
        """A root of the trace began here: nothing is decided before it ends, unless the trace is kept already."""
        decision = self._decided.get(trace_id)
        if decision is None or not decision.rate:
            self._decided.pop(trace_id, None)
            self._trace(trace_id).roots += 1

    def ended(self, trace_id: int, span: ReadableSpan) -> None:
        """A span ended."""
        trace = self._take(trace_id, span, notable=notable_span(span))
        if trace is None:
            return
        attributes = span.attributes or {}
        trace.runs = trace.runs or attributes.get(n.SPAN_KIND) == "run"
        agent = attributes.get(n.GEN_AI_AGENT_NAME)
        if isinstance(agent, str):
            trace.agents.add(agent)
        if is_root(span):
            trace.roots = max(0, trace.roots - 1)
            if not trace.roots:
                self.decide(trace_id)

    def emitted(self, trace_id: int, log_record: ReadWriteLogRecord) -> None:
        """A log record was emitted."""
        self._take(trace_id, log_record, notable=notable_log(log_record.log_record))

    def noticed(self, trace_id: int, _: None = None) -> None:
        """Something notable happened that no attribute tells."""
        decision = self._decided.get(trace_id)
        if decision is not None:
            self._decided[trace_id] = Decision(1.0, decision.runs)
        else:
            self._trace(trace_id).notable = True

    def _take(self, trace_id: int, item: Item, *, notable: bool) -> _Waiting | None:
        """The trace that the item waits in now; None where a decision has been made.

        What comes after the decision follows it. Something notable that comes late turns it: the rest is kept.
        """
        decision = self._decided.get(trace_id)
        if decision is not None:
            if notable and decision.rate < 1:
                decision = self._decided[trace_id] = Decision(1.0, decision.runs)
            self._decided.move_to_end(trace_id)
            if decision.rate:
                self._let_out(item, decision)
            return None
        trace = self._trace(trace_id)
        trace.notable = trace.notable or notable
        trace.items.append(item)
        self._items += 1
        if len(trace.items) < self._bounds.items_of_one:
            return trace
        self.keep(trace_id)
        return None

    def _trace(self, trace_id: int) -> _Waiting:
        now = time.monotonic()
        trace = self._waiting.get(trace_id)
        if trace is None:
            trace = self._waiting[trace_id] = _Waiting(now, now)
        trace.latest = now
        return trace

    # -- decisions
    def due(self) -> tuple[int, ...]:
        """The traces that need a decision because no root of theirs will end here."""
        now, patience = time.monotonic(), self._bounds.orphan_s
        return tuple(one for one, trace in self._waiting.items() if not trace.roots and now - trace.latest >= patience)

    def overdue(self) -> tuple[int, ...]:
        """The traces that wait too long, and the oldest where too many do."""
        now, bounds = time.monotonic(), self._bounds
        much = max(0, len(self._waiting) - bounds.traces)
        items, found = self._items, list[int]()
        for trace_id, trace in self._waiting.items():
            if len(found) >= much and items <= bounds.items and now - trace.since < bounds.age_s:
                break
            items -= len(trace.items)
            found.append(trace_id)
        return tuple(found)

    def waiting(self) -> tuple[int, ...]:
        """All traces without a decision, the oldest first."""
        return tuple(self._waiting)

    def decide(self, trace_id: int, _: None = None) -> None:
        """Keeps a trace for what happened in it, or by its id, or drops it."""
        trace = self._waiting[trace_id]
        if trace.notable:
            self._settle(trace_id, 1.0, "notable")
            return
        rate = self._rate(trace.agents)
        kept = drawn(trace_id, rate)
        self._settle(trace_id, rate if kept else 0.0, "drawn" if kept else "dropped")

    def keep(self, trace_id: int, _: None = None) -> None:
        """Keeps a trace without waiting for its end."""
        decision = self._decided.get(trace_id)
        if decision is None or decision.rate < 1:
            self._settle(trace_id, 1.0, "early")

    def rescue(self, trace_id: int, item: Item | None) -> None:
        """Lets a trace through as it is, after a failure in here; `item` is what arrived last."""
        trace = self._waiting.pop(trace_id, None)
        items: list[Item] = [] if trace is None else trace.items
        self._items -= len(items)
        self._decided[trace_id] = Decision(1.0)
        for one in items:
            self._pass_on(one)
        if item is not None and not any(one is item for one in items):
            self._pass_on(item)

    def _settle(self, trace_id: int, rate: float, reason: Reason) -> None:
        trace = self._waiting.pop(trace_id, None)
        decision = Decision(rate) if trace is None else Decision(rate, trace.runs)
        self._decided[trace_id] = decision
        self._decided.move_to_end(trace_id)
        if len(self._decided) > self._bounds.decisions:
            self._decided.popitem(last=False)
        items: list[Item] = [] if trace is None else trace.items
        self._items -= len(items)
        for item in items if rate else ():
            self._let_out(item, decision)
        self._tally(SAMPLING_DECISIONS, 1, {n.SAMPLING_DECISION: reason})

    def _let_out(self, item: Item, decision: Decision) -> None:
        if isinstance(item, ReadableSpan):
            item = stamped(item, decision.rate, self._head_rate, every_span=not decision.runs)
        self._pass_on(item)


def drawn(trace_id: int, rate: float) -> bool:
    """Whether a trace is among the share `rate` of all: its lower 64 bits are below that share of 2^64.

    The bits and the bound of OpenTelemetry's TraceIdRatioBased, so both decide alike.
    """
    return trace_id & _BELOW < TraceIdRatioBased.get_bound_for_rate(rate)


def is_root(span: ReadableSpan) -> bool:
    """Whether a trace, or this process's part of one, begins with the span."""
    return span.parent is None or span.parent.is_remote
