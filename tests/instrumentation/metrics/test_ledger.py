"""Values of metrics between the step that notes them and the SDK."""

from __future__ import annotations

import gc
import math
import os
import threading
import weakref
from collections import Counter
from typing import TYPE_CHECKING

from opentelemetry.context import attach, detach, set_value
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags

from tachograph.metrics.ledger import Ledger
from tachograph.metrics.metrics import Metrics
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.telemetry import guard

if TYPE_CHECKING:
    from tachograph.metrics.ledger import Labels
    from tachograph.registry.instruments import Instrument

COUNTER, GAUGE, HISTOGRAM = instruments.RUN_STOPS, instruments.COVERAGE, instruments.RUN_TURNS
Posted = list[tuple[str, float, "Labels", int]]


def span(number: int) -> SpanContext:
    """A sampled span with this number as its id."""
    return SpanContext(number, number, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def posting() -> tuple[Ledger, Posted]:
    posted: Posted = []

    def post(instrument: Instrument, value: float, labels: Labels, where: SpanContext) -> None:
        posted.append((instrument.name, value, labels, where.span_id))

    return Ledger(post), posted


def test_nothing_is_posted_before_somebody_asks():
    ledger, posted = posting()
    ledger.note(COUNTER, 3, ("a", "completed"), INVALID_SPAN_CONTEXT)
    assert posted == []
    ledger.drain()
    assert posted == [(COUNTER.name, 3, ("a", "completed"), 0)]
    ledger.drain()
    assert len(posted) == 1


def test_increments_of_one_series_are_one_sum_whose_last_part_keeps_its_span():
    ledger, posted = posting()
    for value, where in ((3, 11), (5, 13), (7, 17)):
        ledger.note(COUNTER, value, ("a", "completed"), span(where))
    ledger.note(COUNTER, 2, ("b", "completed"), span(19))
    ledger.drain()
    assert posted == [
        (COUNTER.name, 8, ("a", "completed"), 0),
        (COUNTER.name, 7, ("a", "completed"), 17),
        (COUNTER.name, 2, ("b", "completed"), 19),
    ]


def test_each_value_of_a_histogram_arrives_and_the_newest_of_a_bucket_keeps_its_span():
    ledger, posted = posting()
    for value, where in ((1, 11), (7, 13), (1, 17)):
        ledger.note(HISTOGRAM, value, ("a", "success"), span(where))
    ledger.drain()
    assert [(value, where) for _, value, _, where in posted] == [(1, 0), (7, 13), (1, 17)]


def test_of_a_gauge_the_last_value_counts():
    ledger, posted = posting()
    for value in (1, 0, 5):
        ledger.note(GAUGE, value, ("a", "run"), INVALID_SPAN_CONTEXT)
    ledger.drain()
    assert [value for _, value, _, _ in posted] == [5]


def test_a_series_that_is_refused_is_counted_and_keeps_no_other():
    posted: list[float] = []

    def post(_: Instrument, value: float, labels: Labels, __: SpanContext) -> None:
        if labels[0] == "bad":
            raise ValueError("no such label")
        posted.append(value)

    ledger, failures = Ledger(post), Counter[str]()
    stop = guard.listen(lambda hook: failures.update([hook]))
    try:
        ledger.note(COUNTER, 1, ("bad", "completed"), INVALID_SPAN_CONTEXT)
        ledger.note(COUNTER, 3, (["no", "key"], "completed"), INVALID_SPAN_CONTEXT)
        ledger.note(COUNTER, 5, ("good", "completed"), INVALID_SPAN_CONTEXT)
        ledger.drain()
    finally:
        stop()
        guard.forget_causes()
    assert (posted, failures) == ([5], Counter(export=2))


def test_what_is_kept_is_bounded_where_nobody_ever_asks():
    ledger, posted = posting()
    for number in range(30_000):
        ledger.note(COUNTER, 1, ("a", f"reason {number}"), INVALID_SPAN_CONTEXT)
        ledger.note(HISTOGRAM, number, ("a", "success"), INVALID_SPAN_CONTEXT)
    assert len(posted) > 30_000
    assert len(ledger._notes) < 1_000
    assert len(ledger._sums) <= 20_000
    ledger.drain()
    assert sum(name == HISTOGRAM.name for name, *_ in posted) == 30_000
    assert sum(value for name, value, *_ in posted if name == COUNTER.name) == 30_000


def test_many_threads_lose_nothing_while_others_ask():
    ledger, posted = posting()
    over = threading.Event()

    def note() -> None:
        for _ in range(5_003):
            ledger.note(COUNTER, 1, ("a", "completed"), INVALID_SPAN_CONTEXT)

    def ask() -> None:
        while not over.is_set():
            ledger.drain()

    asking = threading.Thread(target=ask)
    noting = [threading.Thread(target=note) for _ in range(7)]
    for thread in (asking, *noting):
        thread.start()
    for thread in noting:
        thread.join()
    over.set()
    asking.join()
    ledger.drain()
    assert sum(value for _, value, *_ in posted) == 7 * 5_003


def test_a_forked_child_begins_with_nothing_even_when_the_lock_was_held():
    ledger, posted = posting()
    ledger.note(COUNTER, 3, ("a", "completed"), INVALID_SPAN_CONTEXT)
    with ledger._lock:
        child = os.fork()
        if child == 0:
            ledger.note(COUNTER, 5, ("a", "completed"), INVALID_SPAN_CONTEXT)
            ledger.drain()
            os._exit(0 if [value for _, value, *_ in posted] == [5] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ledger.drain()
    assert [value for _, value, *_ in posted] == [3]


def test_a_second_instrumentation_of_the_same_meter_is_read_too():
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    labels = {n.GEN_AI_AGENT_NAME: "a", n.RUN_STOP_REASON: "completed"}
    both = [Metrics(meters.get_meter("tachograph")) for _ in range(2)]
    for metrics, value in zip(both, (3, 5), strict=True):
        metrics.record(COUNTER, value, labels)
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        metric.name: metric.data.data_points[0].value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert points == {COUNTER.name: 8}


def test_what_the_host_keeps_in_its_context_is_not_kept_alive_until_somebody_asks():
    class Large:
        """Stands for whatever a host puts into its context."""

    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    metrics = Metrics(meters.get_meter("tachograph"))
    large = Large()
    kept = weakref.ref(large)
    token = attach(set_value("large", large))
    metrics.record(COUNTER, 1, {n.GEN_AI_AGENT_NAME: "a", n.RUN_STOP_REASON: "completed"})
    detach(token)
    del large, token
    gc.collect()
    assert kept() is None


def test_a_value_that_a_counter_must_not_have_takes_no_other_along():
    reader = InMemoryMetricReader()
    metrics = Metrics(MeterProvider([reader], shutdown_on_exit=False).get_meter("tachograph"))
    for value in (100, -500, math.nan, 13):
        metrics.record(COUNTER, value, {n.GEN_AI_AGENT_NAME: "a", n.RUN_STOP_REASON: "completed"})
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert [point.value for point in metric.data.data_points] == [113]


def test_who_is_asked_again_from_within_leaves_it_to_the_one_who_was_interrupted():
    ledger, posted = posting()

    def post(instrument: Instrument, value: float, labels: Labels, where: SpanContext) -> None:
        ledger.drain()  # as a signal handler would that runs here
        posted.append((instrument.name, value, labels, where.span_id))

    ledger._post = post
    ledger.note(COUNTER, 3, ("a", "completed"), INVALID_SPAN_CONTEXT)
    ledger.drain()
    assert [value for _, value, *_ in posted] == [3]


def test_a_step_that_ends_after_the_close_is_told_to_the_sdk_at_once():
    reader = InMemoryMetricReader()
    metrics = Metrics(MeterProvider([reader], shutdown_on_exit=False).get_meter("tachograph"))
    labels = {n.GEN_AI_AGENT_NAME: "a", n.RUN_STOP_REASON: "completed"}
    metrics.record(COUNTER, 3, labels)
    metrics.close()
    metrics.record(COUNTER, 5, labels)
    del metrics
    gc.collect()
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert [point.value for point in metric.data.data_points] == [8]


def test_a_step_that_ends_in_the_middle_of_the_close_is_told_after_it_and_not_within():
    reader = InMemoryMetricReader()
    metrics = Metrics(MeterProvider([reader], shutdown_on_exit=False).get_meter("tachograph"))
    labels = {n.GEN_AI_AGENT_NAME: "a", n.RUN_STOP_REASON: "completed"}
    told: list[str] = []
    tell = metrics._ledger._post

    def post(instrument: Instrument, value: float, labels_: Labels, where: SpanContext) -> None:
        told.append(f"begins {value}")
        if value == 3:
            metrics.record(COUNTER, 5, labels)  # as a finalizer that runs here, where the SDK may hold its lock
        tell(instrument, value, labels_, where)
        told.append(f"ends {value}")

    metrics._ledger._post = post
    metrics.record(COUNTER, 3, labels)
    metrics.close()
    assert told == ["begins 3", "ends 3", "begins 5", "ends 5"]
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert [point.value for point in metric.data.data_points] == [8]
