"""What one hook costs the agent, beside the raw span of the OpenTelemetry SDK that somebody would write instead.

The raw span has ten attributes, set one by one, and goes through the SDK's BatchSpanProcessor to an exporter that does
nothing. The hooks write to providers of the same kind, which the application has set, and to metrics that /metrics can
read. Rounds of all kinds alternate; a figure is the median of its rounds.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    LogRecordExporter,
    LogRecordExportResult,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from report import Figure, main
from typing_extensions import override

import tachograph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.trace import Tracer

Operation = Callable[[int], None]
Taken = dict[str, list[float]]  # nanoseconds an operation, one a round

RAW = "raw SDK span, 10 attributes"
RAW_AT_ONCE = "raw SDK span, 10 attributes at its start"
BARE = "plain function call"
DECORATED = "decorated no-op"
SHORT_RESULT, LONG_RESULT = "plain tool, 24 B result", "plain tool, 23 KB result"
SHORT_HISTORY, LONG_HISTORY = "plain model call, 2 messages", "plain model call, 170 messages"
BESIDE = {DECORATED: BARE, LONG_RESULT: SHORT_RESULT, LONG_HISTORY: SHORT_HISTORY}  # what a figure is compared with
STEPS = 25  # of one run: what it remembers of them grows with them
QUEUE = 2**16  # items: more than a round writes, so that nothing is dropped while the clock runs

TEN = {
    "app.request.id": "0123456789abcdef",
    "app.tenant": "acme",
    "app.workflow": "refund",
    "app.tool": "lookup_booking",
    "app.outcome": "success",
    "app.role": "clerk",
    "app.attempt": 1,
    "app.bytes": 1711,
    "app.cost": 0.0013,
    "app.cached": False,
}


class _NoSpans(SpanExporter):
    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _NoLogs(LogRecordExporter):
    @override
    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        return LogRecordExportResult.SUCCESS

    @override
    def shutdown(self) -> None:
        """Nothing is held here."""

    @override
    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """Nothing is held here."""
        return True


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often: operations of one round, rounds, rounds that are not counted before them."""

    operations: int
    rounds: int
    warm: int = 2


def measure(quick: bool) -> Iterable[Figure]:
    """Nanoseconds of one operation of each kind, with instrument() off and on."""
    rounds = Rounds(50, 5) if quick else Rounds(200, 41)
    raw = _provider()
    tracer = raw.get_tracer("benchmark")
    application = _provider()
    trace.set_tracer_provider(application)
    events = LoggerProvider(shutdown_on_exit=False)
    events.add_log_record_processor(BatchLogRecordProcessor(_NoLogs(), max_queue_size=QUEUE))
    _logs.set_logger_provider(events)
    kinds: dict[str, Operation] = {
        RAW: lambda _: _raw(tracer),
        RAW_AT_ONCE: lambda _: _raw_at_once(tracer),
        BARE: lambda _: _nothing(),
        **HOOKS,
    }

    def settle() -> None:
        tachograph.flush()
        for provider in (raw, application, events):
            provider.force_flush()

    off = _measured(kinds, rounds, settle)
    tachograph.instrument(_desk, service_name="benchmark", metrics_port=0)
    on = _measured(kinds, rounds, settle)
    tachograph.uninstrument()
    return _figures(off, on)


def _provider() -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_NoSpans(), max_queue_size=QUEUE))
    return provider


def _figures(off: Taken, on: Taken) -> Iterator[Figure]:
    for name, baseline in ((RAW, None), (RAW_AT_ONCE, RAW), (BARE, None)):
        yield Figure(name, statistics.median([*off[name], *on[name]]), "ns", baseline)
    for name in HOOKS:
        yield Figure(name, statistics.median(on[name]), "ns", RAW if name == DECORATED else BESIDE.get(name, RAW))
    for name in HOOKS:
        yield Figure(f"{name}, off", statistics.median(off[name]), "ns", BARE if name == DECORATED else RAW)


def _measured(kinds: dict[str, Operation], rounds: Rounds, settle: Callable[[], None]) -> Taken:
    taken: Taken = {name: [] for name in kinds}
    for number in range(rounds.warm + rounds.rounds):
        gc.collect()
        for name, operation in kinds.items():
            settle()  # whatever waits for export is worked off before the clock runs
            nanoseconds = _round(name, operation, rounds.operations)
            if number >= rounds.warm:
                taken[name].append(nanoseconds)
    return taken


def _round(name: str, operation: Operation, operations: int) -> float:
    if name == "run":
        return _timed(operation, range(operations))
    taken = 0.0
    for first in range(0, operations, STEPS):
        with tachograph.run(workflow="refund", tier=1, tenant="acme", session="session-13"):
            taken += _timed(operation, range(first, first + STEPS))
    return taken / (operations // STEPS)


def _timed(operation: Operation, numbers: range) -> float:
    gc.disable()
    began = time.perf_counter_ns()
    for number in numbers:
        operation(number)
    taken = time.perf_counter_ns() - began
    gc.enable()
    return taken / len(numbers)


# -- the kinds: each as an agent would write it
def _raw(tracer: Tracer) -> None:
    with tracer.start_as_current_span("execute_tool lookup_booking") as span:
        for name, value in TEN.items():
            span.set_attribute(name, value)


def _raw_at_once(tracer: Tracer) -> None:
    with tracer.start_as_current_span("execute_tool lookup_booking", attributes=TEN):
        pass


def _nothing() -> None:
    pass


def _drop(_: object) -> None:
    pass


def _run(_: int) -> None:
    with tachograph.run(workflow="refund", tier=1, tenant="acme", session="session-13", user="user-17") as run:
        run.outcome("success")


def _turn(_: int) -> None:
    with tachograph.turn():
        pass


def _llm(_: int) -> None:
    with tachograph.llm_call("gpt-4o", provider="openai") as call:
        call.usage(input_tokens=1711, output_tokens=131, cached_tokens=1024)


def _tool(number: int) -> None:
    with tachograph.tool("lookup_booking", arguments={"booking": number}, role="clerk") as tool:
        tool.authorized(True)
        tool.output_valid(True)
        tool.result("confirmed")


def _checkpoint(_: int) -> None:
    with tachograph.checkpoint("amount_limit", stage="post_output") as check:
        check.decide("allow", rule="amount")


def _approval(number: int) -> None:
    with tachograph.approval("refund", arguments={"booking": number}) as ask:
        ask.shown("refund 13 USD")
        ask.approve("clerk-17", role="clerk")


def _plan(_: int) -> None:
    with tachograph.plan() as plan:
        plan.subtasks(3)


def _route(_: int) -> None:
    with tachograph.route("desk", candidates=("booking", "refund", "person")) as route:
        route.choose("refund", reason="the user asks for money")


def _delegate(_: int) -> None:
    with tachograph.delegate("refund", subtask="task-13"):
        pass


def _combine(_: int) -> None:
    with tachograph.combine("merge", inputs=3):
        pass


def _cache(number: int) -> None:
    with tachograph.cache("answers", key=("acme", number), parts=("tenant", "question")) as cache:
        cache.hit(tenant="acme", age=17.0, saved=0.0013)


def _limiter(_: int) -> None:
    with tachograph.limiter("models", limit=8) as slot:
        slot.acquired()


def _degraded(_: int) -> None:
    with tachograph.degraded("stale_cache", trigger="retrieval_down", component="index") as stay:
        stay.disclosed()


def _evidence(_: int) -> None:
    tachograph.evidence("price", source="user", ref="message-13", producer="user", time="2026-01-01T00:00:00Z")


def _budget(number: int) -> None:
    tachograph.budget("turns", limit=1000, used=number)


def _retry(_: int) -> None:
    tachograph.retry(2, backoff=0.5, error="timeout")


def _evaluation(_: int) -> None:
    tachograph.evaluation("helpful", score=0.87, label="pass", suite="golden", case_id="case-13")


def _gate(_: int) -> None:
    tachograph.gate("canary", verdict="pass", decision="hold", samples=131, observed=0.91, data_age=17.0)


def _release(_: int) -> None:
    tachograph.release("airline-13", track="canary")


class _Desk:
    """A plain agent, hooked by the names of its methods."""

    def __init__(self) -> None:
        self._pages = {"short": "x" * 24, "long": "x" * 23_000}

    def call_tool(self, name: str, page: str) -> str:  # noqa: ARG002 - what a tool is called with
        return self._pages[page]

    def complete(self, messages: list[dict[str, str]]) -> dict[str, object]:  # noqa: ARG002 - as above
        return {"model": "gpt-4o", "usage": {"input_tokens": 1711, "output_tokens": 131}}


_desk = _Desk()
_history = [{"role": "user", "content": f"question {number}: " + "where is my refund? " * 17} for number in range(170)]
_decorated = tachograph.turn()(_nothing)

HOOKS: dict[str, Operation] = {
    "run": _run,
    "turn": _turn,
    "llm_call": _llm,
    "tool": _tool,
    "checkpoint": _checkpoint,
    "approval": _approval,
    "plan": _plan,
    "route": _route,
    "delegate": _delegate,
    "combine": _combine,
    "cache": _cache,
    "limiter (event)": _limiter,
    "degraded (2 events)": _degraded,
    "evidence (event)": _evidence,
    "budget (event)": _budget,
    "retry (event)": _retry,
    "evaluation (event)": _evaluation,
    "gate (event)": _gate,
    "release (event)": _release,
    DECORATED: lambda _: _decorated(),
    SHORT_RESULT: lambda _: _drop(_desk.call_tool("lookup", "short")),
    LONG_RESULT: lambda _: _drop(_desk.call_tool("lookup", "long")),
    SHORT_HISTORY: lambda _: _drop(_desk.complete(_history[:2])),
    LONG_HISTORY: lambda _: _drop(_desk.complete(_history[:])),
}

if __name__ == "__main__":
    main(__doc__, measure)
