"""Values of metrics between the step that notes them and the SDK."""

from __future__ import annotations

import os
import threading
from collections import Counter
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.telemetry import guard
from tachograph.telemetry.ledger import Ledger
from tachograph.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from tachograph.registry.instruments import Instrument
    from tachograph.telemetry.ledger import Labels

COUNTER, GAUGE, HISTOGRAM = instruments.RUN_STOPS, instruments.COVERAGE, instruments.RUN_TURNS
Posted = list[tuple[str, float, "Labels", int]]


def context(number: int) -> Context:
    """A context whose sampled span has this number as its id."""
    span = NonRecordingSpan(SpanContext(number, number, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)))
    return trace.set_span_in_context(span, Context())


def posting() -> tuple[Ledger, Posted]:
    posted: Posted = []

    def post(instrument: Instrument, value: float, labels: Labels, where: Context) -> None:
        posted.append((instrument.name, value, labels, trace.get_current_span(where).get_span_context().span_id))

    return Ledger(post), posted


def test_nothing_is_posted_before_somebody_asks():
    ledger, posted = posting()
    ledger.note(COUNTER, 3, ("a", "completed"), Context())
    assert posted == []
    ledger.drain()
    assert posted == [(COUNTER.name, 3, ("a", "completed"), 0)]
    ledger.drain()
    assert len(posted) == 1


def test_increments_of_one_series_are_one_sum_whose_last_part_keeps_its_span():
    ledger, posted = posting()
    for value, where in ((3, 11), (5, 13), (7, 17)):
        ledger.note(COUNTER, value, ("a", "completed"), context(where))
    ledger.note(COUNTER, 2, ("b", "completed"), context(19))
    ledger.drain()
    assert posted == [
        (COUNTER.name, 8, ("a", "completed"), 0),
        (COUNTER.name, 7, ("a", "completed"), 17),
        (COUNTER.name, 2, ("b", "completed"), 19),
    ]


def test_each_value_of_a_histogram_arrives_and_the_newest_of_a_bucket_keeps_its_span():
    ledger, posted = posting()
    for value, where in ((1, 11), (7, 13), (1, 17)):
        ledger.note(HISTOGRAM, value, ("a", "success"), context(where))
    ledger.drain()
    assert [(value, where) for _, value, _, where in posted] == [(1, 0), (7, 13), (1, 17)]


def test_of_a_gauge_the_last_value_counts():
    ledger, posted = posting()
    for value in (1, 0, 5):
        ledger.note(GAUGE, value, ("a", "run"), Context())
    ledger.drain()
    assert [value for _, value, _, _ in posted] == [5]


def test_a_series_that_is_refused_is_counted_and_keeps_no_other():
    posted: list[float] = []

    def post(_: Instrument, value: float, labels: Labels, __: Context) -> None:
        if labels[0] == "bad":
            raise ValueError("no such label")
        posted.append(value)

    ledger, failures = Ledger(post), Counter[str]()
    stop = guard.listen(lambda hook: failures.update([hook]))
    try:
        ledger.note(COUNTER, 1, ("bad", "completed"), Context())
        ledger.note(COUNTER, 3, (["no", "key"], "completed"), Context())
        ledger.note(COUNTER, 5, ("good", "completed"), Context())
        ledger.drain()
    finally:
        stop()
        guard.forget_causes()
    assert (posted, failures) == ([5], Counter(export=2))


def test_what_is_kept_is_bounded_where_nobody_ever_asks():
    ledger, posted = posting()
    for number in range(30_000):
        ledger.note(COUNTER, 1, ("a", f"reason {number}"), Context())
        ledger.note(HISTOGRAM, number, ("a", "success"), Context())
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
            ledger.note(COUNTER, 1, ("a", "completed"), Context())

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
    ledger.note(COUNTER, 3, ("a", "completed"), Context())
    with ledger._lock:
        child = os.fork()
        if child == 0:
            ledger.note(COUNTER, 5, ("a", "completed"), Context())
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
