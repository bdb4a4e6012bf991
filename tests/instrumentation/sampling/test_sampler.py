"""Whole-trace sampling: what arrives, at which rate it says so, and that nothing is lost by it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from opentelemetry import context, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider, ReadWriteLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

import tachograph
from tachograph.audit.record import keep
from tachograph.metrics.metrics import Metrics
from tachograph.registry import names as n
from tachograph.sampling import sampler as sampling
from tachograph.sampling import traces
from tachograph.sampling.policy import Policy, policy
from tachograph.sampling.sampler import TailSampler
from tachograph.sampling.traces import Bounds, drawn
from tachograph.telemetry import guard
from tachograph.telemetry.processor import log_tap, span_tap
from tachograph.telemetry.recorder import Recorder, activate, active
from tachograph.telemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

DRAWN = 0b11 << 64 | 1  # lower 64 bits that no rate but 0 leaves out
DROPPED = 0b11 << 64 | 2**64 - 1  # and such that only 1 takes in
USUAL = 6  # spans and events of a usual run


class Ids(IdGenerator):
    """Ids by chance, the same each time; or the trace ids that a test puts in."""

    def __init__(self) -> None:
        self._chance = random.Random(13)
        self.traces: list[int] = []

    def generate_trace_id(self) -> int:
        return self.traces.pop(0) if self.traces else self._chance.getrandbits(128)

    def generate_span_id(self) -> int:
        return self._chance.getrandbits(64)


@dataclass
class Box:
    """A sink that keeps what it gets."""

    items: list[ReadableSpan | ReadWriteLogRecord] = field(default_factory=list)

    def on_end(self, span: ReadableSpan) -> None:
        self.items.append(span)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.items.append(log_record)

    def spans(self) -> list[ReadableSpan]:
        return [item for item in self.items if isinstance(item, ReadableSpan)]

    def names(self) -> list[str]:
        return sorted(
            item.name if isinstance(item, ReadableSpan) else str(item.log_record.event_name) for item in self.items
        )

    def sizes(self) -> Counter[int]:
        """Spans and events by trace."""
        return Counter(
            (item.context.trace_id if isinstance(item, ReadableSpan) else item.log_record.trace_id)
            for item in self.items
        )


@dataclass
class World:
    """A process whose traces are sampled: what was recorded, what left, and its metrics."""

    sampler: TailSampler
    recorder: Recorder
    ids: Ids
    counts: Counter[str]
    recorded: Box = field(default_factory=Box)
    left: Box = field(default_factory=Box)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def settle(self) -> None:
        assert self.sampler.work()

    def runs(self) -> list[ReadableSpan]:
        return [span for span in self.left.spans() if span.attributes[n.SPAN_KIND] == "run"]

    def rates(self) -> list[float | None]:
        return [run.attributes.get(n.SAMPLE_RATE) for run in self.runs()]

    def metric(self, name: str) -> float:
        data = self.reader.get_metrics_data()
        found = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics if m.name == name]
        return sum(point.value for metric in found for point in metric.data.data_points)


@contextlib.contextmanager
def sampled(
    rate: float, *, sampler=DEFAULT_ON, threaded: bool = False, logs: bool = True, **settings: object
) -> Generator[World]:
    """Hooks, taps and the sampler as instrument() puts them together, without export; decisions fall in `settle`."""
    ids, counts, left, recorded, reader = Ids(), Counter[str](), Box(), Box(), InMemoryMetricReader()
    tracers = TracerProvider(sampler=sampler, id_generator=ids, shutdown_on_exit=False)
    loggers = LoggerProvider(shutdown_on_exit=False)
    meters = MeterProvider([reader], shutdown_on_exit=False)

    def tally(_, value, labels):
        counts[labels[n.SAMPLING_DECISION]] += value

    with pytest.MonkeyPatch.context() as patch:
        if not threaded:
            patch.setattr(TailSampler, "_run", lambda _: None)
        tail = TailSampler(rate, left, left if logs else None, tally, **settings)
    spans, events = span_tap(tracers), log_tap(loggers)
    spans.sinks, spans.watch, spans.open = (recorded, tail), tail, True
    events.sinks, events.open = (recorded, tail), True
    recorder = Recorder(
        Spans(tracers.get_tracer("tachograph")),
        loggers.get_logger("tachograph"),
        Metrics(meters.get_meter("tachograph")),
        "desk",
        notice=tail.notice,
    )
    keep(recorder, threaded=False)
    before = active()
    activate(recorder)
    try:
        yield World(tail, recorder, ids, counts, recorded, left, reader)
    finally:
        activate(before)
        tail.close()
        guard.forget_causes()


def usual() -> None:
    """A run in which nothing notable happens, whatever there is of patterns in it."""
    with tachograph.run(workflow="lookup"):
        with tachograph.checkpoint("length", stage="pre_request") as check:
            check.decide("allow")
        with tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=11, output_tokens=13)
        with tachograph.tool("lookup"):
            tachograph.budget("turns", limit=17, used=1)
        with tachograph.limiter("crm", limit=3) as limit:
            limit.acquired()


def failed() -> None:
    with contextlib.suppress(LookupError), tachograph.run(), tachograph.tool("lookup"):
        raise LookupError


def handled() -> None:
    with tachograph.run() as run, contextlib.suppress(LookupError):
        run.outcome("success")
        with tachograph.tool("lookup"):
            raise LookupError


def denied() -> None:
    with tachograph.run() as run, tachograph.checkpoint("topic", stage="pre_request") as check:
        check.decide("deny", rule="topic")
        run.outcome("success")


def wrote() -> None:
    with tachograph.run(), tachograph.tool("refund", effect="write", tier=0):
        pass


def unknown() -> None:
    with tachograph.run(), tachograph.tool("frob", effect=None):
        pass


def approved() -> None:
    with tachograph.run(), tachograph.approval("lookup") as approval:
        approval.approve("ada")


def warned() -> None:
    with tachograph.run():
        tachograph.budget("cost", limit=1.0, used=0.9)


def degraded() -> None:
    with tachograph.run() as run, tachograph.degraded("stale_cache", trigger="timeout", disclosed=True):
        run.outcome("success")


def suspended() -> None:
    with tachograph.run() as run:
        run.suspend()


def resumed() -> None:
    with tachograph.run(id="run-17"):
        pass


def refused() -> None:
    with tachograph.run() as run:
        run.outcome("refused")


def detected() -> None:
    with tachograph.run():
        for _ in range(int(n.THRESHOLDS["loop_runaway"])):
            with tachograph.tool("lookup", arguments={"booking": "K13"}):
                pass


def fell_back() -> None:
    with tachograph.run(), tachograph.route("models", candidates=("a", "b")) as route:
        route.choose("b", outcome="fallback")


def crowded() -> None:
    with tachograph.run(), tachograph.limiter("crm", limit=1) as limit:
        limit.rejected()


def judged() -> None:
    with tachograph.run():
        tachograph.evaluation("helpful", score=0.7)


def gated() -> None:
    with tachograph.run():
        tachograph.gate("success", verdict="pass", decision="promote", samples=13, observed=0.9)


KINDS: dict[Callable[[], None], int] = {
    failed: 13, handled: 3, denied: 11, wrote: 17, unknown: 5, approved: 7, warned: 19, degraded: 9, suspended: 1,
    resumed: 21, refused: 15, detected: 23, fell_back: 25, crowded: 27, judged: 29, gated: 31,
}  # fmt: skip


def test_of_2000_runs_the_notable_ones_arrive_whole_and_of_the_rest_those_that_the_formula_names():
    plan = [kind for kind, times in KINDS.items() for _ in range(times)]
    plan += [usual] * (2000 - len(plan))
    random.Random(17).shuffle(plan)
    kinds: dict[int, Callable[[], None]] = {}
    with sampled(0.1) as world:
        for kind in plan:
            seen = len(world.recorded.items)
            kind()
            kinds[next(iter(Box(world.recorded.items[seen:]).sizes()))] = kind
            if len(kinds) % 101 == 0:
                world.settle()
        world.settle()
        below = {trace_id for trace_id in kinds if trace_id % 2**64 < round(0.1 * 2**64)}
        notable = {trace_id for trace_id, kind in kinds.items() if kind is not usual}
        left, recorded = world.left.sizes(), world.recorded.sizes()
        assert Counter(kinds[trace_id].__name__ for trace_id in left) == {
            **{kind.__name__: times for kind, times in KINDS.items()},
            "usual": len(below - notable),
        }
        assert left == {one: size for one, size in recorded.items() if one in notable or one in below}
        assert {run.context.trace_id: run.attributes[n.SAMPLE_RATE] for run in world.runs()} == {
            one: 1.0 if one in notable else 0.1 for one in left
        }
        estimate, unknown_runs = sum(1 / rate for rate in world.rates()), len(kinds) - len(notable)
        # 4 standard deviations of the binomial that the estimate is, each run of which counts 10
        assert abs(estimate - 2000) < 4 * 10 * (unknown_runs * 0.1 * 0.9) ** 0.5
        assert world.counts == {
            "notable": len(notable),
            "drawn": len(below - notable),
            "dropped": 2000 - len(below | notable),
        }
        assert world.metric("tachograph.runs") == 2000 - KINDS[suspended]
        assert world.metric("tachograph.checkpoint.decisions") == KINDS[denied] + plan.count(usual)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_notable_kind_alone_keeps_its_trace(kind):
    with sampled(0.0) as world:
        kind()
        world.settle()
        assert world.left.sizes() == world.recorded.sizes()
        assert world.rates() == [1.0]


def test_a_usual_run_leaves_no_trace_at_rate_0():
    with sampled(0.0) as world:
        usual()
        world.settle()
        assert (world.left.items, world.counts) == ([], {"dropped": 1})
        assert len(world.recorded.items) == USUAL


def test_the_formula_is_that_of_opentelemetry():
    chance = random.Random(19)
    ids = [*(chance.getrandbits(128) for _ in range(997)), DRAWN, DROPPED, 1 << 64]
    for rate in (0.0, 1e-9, 0.1, 1 / 3, 0.5, 0.99, 1.0):
        sampler = TraceIdRatioBased(rate)
        theirs = [sampler.should_sample(None, one, "span").decision.is_sampled() for one in ids]
        assert [drawn(one, rate) for one in ids] == theirs


def test_audit_entries_and_what_is_outside_of_traces_pass_at_once():
    with sampled(0.0) as world:
        tachograph.evaluation("helpful", score=0.7)
        assert world.left.names() == ["gen_ai.evaluation.result"]
        with tachograph.run():
            with tachograph.approval("refund") as approval:
                approval.approve("ada")
            assert world.left.names().count(n.EVENT_AUDIT_RECORDED) == 1
        world.settle()
        assert world.left.sizes() == world.recorded.sizes()
        assert world.left.names().count(n.EVENT_AUDIT_RECORDED) == 1


def test_the_trace_of_an_error_in_the_log_of_the_host_is_kept():
    with sampled(0.0) as world:
        for severity in ("WARN", "ERROR"):
            with tachograph.run():
                world.recorder.logger.emit(body=severity, severity_number=SeverityNumber[severity])
        world.settle()
        assert [item.log_record.body for item in world.left.items if isinstance(item, ReadWriteLogRecord)] == ["ERROR"]
        assert world.counts == {"notable": 1, "dropped": 1}


def test_a_trace_without_a_run_says_its_rate_on_each_span():
    with sampled(0.3) as world:
        world.ids.traces = [DRAWN, DROPPED, DRAWN + 2]
        for error in ("", "", "boom"):
            with tachograph.tool("lookup") as call, tachograph.llm_call("gpt-4o") as inner:
                inner.usage(input_tokens=11, output_tokens=13)
                if error:
                    call.outcome("error", error_type=error)
        world.settle()
        found = [(span.context.trace_id, span.name, span.attributes[n.SAMPLE_RATE]) for span in world.left.spans()]
        assert found == [
            (DRAWN, "chat gpt-4o", 0.3),
            (DRAWN, "execute_tool lookup", 0.3),
            (DRAWN + 2, "chat gpt-4o", 1.0),
            (DRAWN + 2, "execute_tool lookup", 1.0),
        ]


@pytest.mark.parametrize(
    ("head", "rates"),
    [(TraceIdRatioBased(0.2), [0.2, 0.2]), (TraceIdRatioBased(0.9), [0.5, 0.9]), (None, [0.5, None])],
)
def test_the_rate_of_a_provider_that_samples_first_counts_too(head, rates):
    head_rate = None if head is None else head.rate
    with sampled(0.5, sampler=head or DEFAULT_ON, head_rate=head_rate) as world:
        world.recorder.sample_rate = head_rate
        world.ids.traces = [DRAWN, DRAWN + 2]
        usual()
        failed()
        world.settle()
        assert world.rates() == rates


def test_the_span_of_the_host_is_not_changed():
    with sampled(0.5) as world:
        world.ids.traces = [DRAWN]
        usual()
        world.settle()
        (mine,) = [span for span in world.recorded.spans() if span.attributes[n.SPAN_KIND] == "run"]
        (copy,) = world.runs()
        assert (mine.attributes[n.SAMPLE_RATE], copy.attributes[n.SAMPLE_RATE]) == (1.0, 0.5)
        assert {**copy.attributes, n.SAMPLE_RATE: 1.0} == mine.attributes
        assert (copy.context, copy.name, copy.start_time, copy.end_time) == (
            mine.context, mine.name, mine.start_time, mine.end_time,
        )  # fmt: skip


def remote(trace_id: int, *, sampled: bool = True) -> context.Context:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return set_span_in_context(NonRecordingSpan(SpanContext(trace_id, 13, is_remote=True, trace_flags=flags)))


@contextlib.contextmanager
def called(trace_id: int, *, sampled: bool = True) -> Generator[None]:
    token = context.attach(remote(trace_id, sampled=sampled))
    try:
        yield
    finally:
        context.detach(token)


def test_the_local_root_decides_below_a_remote_parent():
    with sampled(0.5) as world:
        for trace_id in (DRAWN, DROPPED):
            with called(trace_id):
                usual()
        world.settle()
        assert world.left.sizes() == {DRAWN: USUAL}


def test_what_the_caller_does_not_keep_stays_out_except_for_audit_entries():
    with sampled(0.5) as world, called(DRAWN, sampled=False):
        approved()
        warned()
        world.settle()
        assert world.left.names() == [n.EVENT_AUDIT_RECORDED]
        assert world.counts == {}


def test_two_parts_of_a_trace_at_once_are_decided_when_both_have_ended():
    with sampled(0.0) as world:
        tracer = world.recorder.spans.tracer
        first, second = (tracer.start_span(name, remote(DROPPED)) for name in ("first", "second"))
        tracer.start_span("of the second", set_span_in_context(second)).end()
        first.end()
        world.settle()
        assert world.counts == {}
        second.set_status(trace.StatusCode.ERROR)
        second.end()
        world.settle()
        assert world.left.names() == ["first", "of the second", "second"]


def test_a_later_part_of_a_dropped_trace_is_decided_anew():
    with sampled(0.0) as world:
        for kind in (usual, failed):
            with called(DROPPED):
                kind()
        world.settle()
        assert (len(world.left.items), world.counts) == (2, {"dropped": 1, "notable": 1})


def test_what_comes_late_follows_the_decision_and_something_notable_turns_it():
    with sampled(0.5) as world:
        tracer = world.recorder.spans.tracer
        for trace_id in (DRAWN, DROPPED):
            world.ids.traces = [trace_id]
            root = tracer.start_span(f"root {trace_id == DRAWN}")
            streams = [tracer.start_span(name, set_span_in_context(root)) for name in ("stream", "broken", "last")]
            root.end()
            world.settle()
            streams[0].end()
            streams[1].set_status(trace.StatusCode.ERROR)
            streams[1].end()
            streams[2].end()
        world.settle()
        found = [(s.context.trace_id == DRAWN, s.name, s.attributes[n.SAMPLE_RATE]) for s in world.left.spans()]
        assert found == [
            (True, "root True", 0.5), (True, "stream", 0.5), (True, "broken", 1.0), (True, "last", 1.0),
            (False, "broken", 1.0), (False, "last", 1.0),
        ]  # fmt: skip


def test_spans_whose_root_began_elsewhere_are_decided_when_nothing_comes_any_more():
    with sampled(0.5, bounds=Bounds(orphan_s=0)) as world:
        for trace_id in (DRAWN, DROPPED):
            parent = NonRecordingSpan(SpanContext(trace_id, 13, is_remote=False, trace_flags=TraceFlags(1)))
            world.recorder.spans.tracer.start_span("work", set_span_in_context(parent)).end()
        world.settle()
        assert world.left.sizes() == {DRAWN: 1}


@pytest.mark.parametrize(
    "bounds",
    [Bounds(items_of_one=11), Bounds(items=10), Bounds(traces=0), Bounds(age_s=0)],
    ids=["one trace", "all traces", "traces", "age"],
)
def test_over_each_bound_a_trace_is_kept_early_and_what_follows_with_it(bounds):
    with sampled(0.0, bounds=bounds) as world:
        world.ids.traces = [DROPPED]
        with tachograph.run():
            for number in range(11):
                with tachograph.turn(number):
                    pass
            world.settle()
            assert len(world.left.items) == 11
            with tachograph.turn("late"):
                pass
        world.settle()
        assert (len(world.left.items), world.rates(), world.counts) == (13, [1.0], {"early": 1})


def test_what_nobody_looks_at_is_kept_and_its_trace_too():
    with sampled(0.0, arrivals=5) as world:
        for trace_id in (DROPPED, DROPPED - 2):
            world.ids.traces = [trace_id]
            with tachograph.run():
                for number in range(7):
                    with tachograph.turn(number):
                        pass
        world.settle()
        assert world.left.sizes() == {DROPPED: 8, DROPPED - 2: 8}
        assert world.counts == {"early": 2}


def test_memory_is_bounded_whatever_never_ends():
    bounds = Bounds(traces=17, items=51, decisions=13)
    with sampled(0.0, bounds=bounds) as world:
        for _ in range(211):
            root = world.recorder.spans.tracer.start_span("never")
            world.recorder.spans.tracer.start_span("child", set_span_in_context(root)).end()
        world.settle()
        held = world.sampler._traces
        assert (len(held._waiting), held._items, len(held._decided)) == (17, 17, 13)
        assert (len(world.left.items), world.counts) == (194, {"early": 194})


def test_closing_keeps_what_is_undecided_and_lets_through_what_comes_later():
    with sampled(0.0) as world:
        with tachograph.run():
            with tachograph.turn():
                pass
            world.sampler.close()
            assert world.left.names() == ["turn 1"]
            with tachograph.turn():
                pass
        assert world.left.names() == ["invoke_agent desk", "turn 1", "turn 2"]
        assert world.counts == {"early": 1}


def boom(*_: object, **__: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (traces, "notable_span"),
        (traces, "notable_log"),
        (traces, "drawn"),
        (traces.Traces, "ended"),
        (traces.Traces, "emitted"),
        (traces.Traces, "begun"),
        (traces.Traces, "decide"),
        (traces.Traces, "_settle"),
        (sampling.TailSampler, "rate_of"),
    ],
    ids=lambda part: part if isinstance(part, str) else part.__name__.rpartition(".")[2],
)
def test_a_broken_part_lets_everything_through_and_is_counted(part, name, monkeypatch):
    monkeypatch.setattr(part, name, boom)
    before = guard.failures["processor"]
    with sampled(0.0) as world:
        usual()
        world.settle()
        world.sampler.close()
        assert world.left.sizes() == world.recorded.sizes()
        assert len(set(map(id, world.left.items))) == len(world.left.items) == USUAL
    assert guard.failures["processor"] > before


def test_its_thread_outlives_a_failure(monkeypatch, until):
    monkeypatch.setattr(traces.Traces, "due", boom)
    before = guard.failures["processor"]
    with sampled(0.0, threaded=True) as world:
        for count in (1, 2):
            failed()
            until(lambda count=count: world.counts == {"notable": count})
    assert guard.failures["processor"] > before + 1


def test_a_span_that_cannot_be_stamped_leaves_without_its_rate(monkeypatch):
    monkeypatch.setattr("tachograph.sampling.stamp._with_rate", boom)
    with sampled(0.5) as world:
        world.ids.traces = [DRAWN]
        usual()
        world.settle()
        assert world.left.sizes() == {DRAWN: USUAL}


def test_the_agents_thread_waits_for_nobody():
    with sampled(0.0) as world, world.sampler._lock:
        usual()
        world.sampler.notice()
        assert len(world.recorded.items) == USUAL
        assert not world.sampler.work(0.01)


def test_its_own_thread_decides(until):
    with sampled(0.0, threaded=True) as world:
        usual()
        failed()
        until(lambda: world.counts.total() == 2)
        assert world.counts == {"dropped": 1, "notable": 1}


def test_many_threads_lose_and_double_nothing():
    with sampled(1.0, threaded=True) as world:
        threads = [threading.Thread(target=lambda: [usual() for _ in range(53)]) for _ in range(7)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        world.settle()
        assert len(world.left.items) == 7 * 53 * USUAL
        assert world.left.sizes() == world.recorded.sizes()


# -- settings
@pytest.mark.parametrize(
    ("rate", "environ", "expected"),
    [
        (None, {}, (1.0, False, 0)),
        (None, {"OTEL_TRACES_SAMPLER": "always_on"}, (1.0, False, 0)),
        (None, {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.13"}, (0.13, False, 1)),
        (None, {"OTEL_TRACES_SAMPLER": " ParentBased_TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "0"}, (0.0, False, 1)),
        (None, {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "13"}, (1.0, False, 1)),
        (None, {"OTEL_TRACES_SAMPLER": "traceidratio"}, (1.0, False, 1)),
        (None, {"OTEL_TRACES_SAMPLER": "always_off"}, (1.0, True, 1)),
        (None, {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, (1.0, True, 1)),
        (None, {"OTEL_TRACES_SAMPLER": "jaeger_remote"}, (1.0, False, 1)),
        (0.17, {"OTEL_TRACES_SAMPLER": "always_off"}, (0.17, False, 2)),
        (0.17, {}, (0.17, False, 1)),
        (1.0, {}, (1.0, False, 0)),
    ],
)
def test_the_policy_is_ours_first_and_then_opentelemetrys(rate, environ, expected):
    found = policy(rate, environ)
    assert (found.rate, found.off, len(found.notes)) == expected


def test_always_off_begins_no_trace():
    assert policy(None, {"OTEL_TRACES_SAMPLER": "always_off"}).sampler is ALWAYS_OFF
    assert Policy().sampler is DEFAULT_ON


# -- in processes of their own
START = """
import sys, json, time, tachograph
from tachograph.instrument import exposition

def ask(kind):
    with tachograph.run(workflow=kind) as run:
        with tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=11, output_tokens=13)
        if kind == "refused":
            run.outcome("refused")
"""


def python(code: str, *arguments: str, stdin: str = "", **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", START + code, *arguments],
        input=stdin, capture_output=True, text=True, timeout=60, check=False, env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def spans_at(endpoint) -> list[tuple[str, str, float | None]]:
    """Trace id, name and rate of each span that arrived."""
    found = []
    for path, body in zip(endpoint.paths, endpoint.bodies, strict=True):
        if path != "/v1/traces":
            continue
        request = ExportTraceServiceRequest.FromString(body)
        for span in (s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans):
            rate = {a.key: a.value.double_value for a in span.attributes}.get(n.SAMPLE_RATE)
            found.append((span.trace_id.hex(), span.name, rate))
    return found


def test_two_processes_of_a_trace_agree(serve):
    here, there = serve(), serve()
    calls = python(
        """
from opentelemetry import trace
tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics="none", sample_rate=0.3)
for _ in range(101):
    with tachograph.run():
        context = trace.get_current_span().get_span_context()
        print(f"00-{context.trace_id:032x}-{context.span_id:016x}-01")
""",
        here.url,
    )
    python(
        """
from opentelemetry import context
from opentelemetry.propagate import extract
report = tachograph.instrument(service_name="billing", endpoint=sys.argv[1], metrics="none")
assert any(note.startswith("sampled: 0.3 ") for note in report.notes), report.notes
for line in sys.stdin:
    context.attach(extract({"traceparent": line.strip()}))
    with tachograph.tool("lookup"):
        pass
""",
        there.url,
        stdin=calls,
        OTEL_TRACES_SAMPLER="parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0.3",
    )
    begun = [line.split("-")[1] for line in calls.splitlines()]
    expected = sorted(one for one in begun if int(one, 16) % 2**64 < round(0.3 * 2**64))
    assert 0 < len(expected) < 101
    for endpoint, name in ((here, "invoke_agent desk"), (there, "execute_tool lookup")):
        assert sorted(spans_at(endpoint)) == [(one, name, 0.3) for one in expected]


def test_metrics_count_all_and_an_exit_keeps_what_is_undecided(serve):
    endpoint = serve()
    page = python(
        """
tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics_port=0, sample_rate=0)
for kind in ("usual",) * 29 + ("refused",) * 13:
    ask(kind)
assert tachograph.flush()
print(exposition().decode())
forever = tachograph.run()
forever.__enter__()
with tachograph.turn("last"):
    pass
""",
        endpoint.url,
    )
    samples = dict(line.rpartition(" ")[::2] for line in page.splitlines() if not line.startswith("#"))
    runs = {key: value for key, value in samples.items() if key.startswith("tachograph_runs_total")}
    assert sorted(map(float, runs.values())) == [13.0, 29.0]
    decisions = {key: float(value) for key, value in samples.items() if key.startswith("tachograph_sampling_decisions")}
    assert {key.partition('decision="')[2].partition('"')[0]: value for key, value in decisions.items()} == {
        "notable": 13.0, "dropped": 29.0, "drawn": 0.0, "early": 0.0,
    }  # fmt: skip
    arrived = Counter((name, rate) for _, name, rate in spans_at(endpoint))
    assert arrived == {("invoke_agent desk", 1.0): 13, ("chat gpt-4o", None): 13, ("turn last", 1.0): 1}


def test_always_off_lets_nothing_leave_and_metrics_count(serve):
    endpoint = serve()
    page = python(
        """
tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics_port=0)
for kind in ("usual",) * 3 + ("refused",) * 5:
    ask(kind)
with tachograph.run():
    tachograph.budget("turns", limit=1, used=1)
assert tachograph.flush()
print(exposition().decode())
""",
        endpoint.url,
        OTEL_TRACES_SAMPLER="always_off",
    )
    assert endpoint.paths == []
    assert (
        sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith("tachograph_runs_total"))
        == 3 + 5 + 1
    )


def test_without_a_rate_nothing_is_in_the_way(serve):
    endpoint = serve()
    python(
        """
import threading
tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics="none")
pipeline = sys.modules["tachograph.instrument"]._installed.pipeline
assert pipeline.sampler is None and pipeline.spans.watch is None
assert pipeline.spans.sinks == (pipeline.batches[0],) and pipeline.logs.sinks == (pipeline.batches[1],)
assert "tachograph.sampling.sampler" not in sys.modules
assert "tachograph-sampling" not in {thread.name for thread in threading.enumerate()}
""",
        endpoint.url,
    )


def test_an_application_that_exports_by_itself_samples_by_itself():
    notes = python(
        """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
report = tachograph.instrument(service_name="desk", metrics="none", sample_rate=0.1)
print(json.dumps(report.notes))
assert sys.modules["tachograph.instrument"]._installed.pipeline.sampler is None
"""
    )
    (note,) = [one for one in json.loads(notes) if "sample_rate" in one]
    assert note == ("sample_rate=0.1 is passed over: the application's tracer provider exports, and samples, by itself")


def test_a_forked_child_samples_for_itself(serve):
    endpoint = serve()
    python(
        """
import os
tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics="none", sample_rate=0)
with tachograph.run(workflow="parent"):
    with tachograph.turn("before"):
        pass
    child = os.fork()
    if not child:
        with tachograph.turn("child"):
            pass
        ask("usual")
        tachograph.uninstrument()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
ask("refused")
""",
        endpoint.url,
    )
    # Of the child what is undecided at its end, as its run is the parent's; of the parent the refusal.
    names = Counter(name for _, name, _ in spans_at(endpoint))
    assert names == {"turn child": 1, "step desk": 1, "chat gpt-4o": 2, "invoke_agent desk": 1}
