from __future__ import annotations

import gc
import os
import threading
import time
import weakref

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tachograph.export.batch import BatchProcessor, Limits


class Sink:
    """Takes batches, or holds the worker until it is let go."""

    def __init__(self, *, held=False):
        self.lost = 0
        self.batches = []
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.closed = []
        self.forks = 0
        if not held:
            self.let_go.set()

    def export(self, batch):
        self.entered.set()
        self.let_go.wait(20)
        self.batches.append(list(batch))
        return True

    def drain(self, deadline):
        self.deadline = deadline

    def shutdown(self, timeout_s=2.0):
        self.closed.append(timeout_s)

    def after_fork(self):
        self.forks += 1
        self.batches = []


@pytest.fixture
def tracer_for():
    def make(processor, sampler=None):
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        return provider.get_tracer("test")

    return make


def emit(tracer, count):
    for number in range(count):
        tracer.start_span(f"span {number}").end()


def names(sink):
    return [span.name for batch in sink.batches for span in batch]


def test_spans_arrive_in_order_and_in_batches(counts, tracer_for):
    sink = Sink()
    processor = BatchProcessor("traces", sink, counts, Limits(queue=100, batch=11, delay_s=30))
    emit(tracer_for(processor), 25)
    assert processor.force_flush(5000)
    assert names(sink) == [f"span {number}" for number in range(25)]
    assert [len(batch) for batch in sink.batches] == [11, 11, 3]
    processor.shutdown()


def test_a_worker_that_begins_to_wait_after_the_end_ends_too(counts):
    late = threading.Event()

    class Late(BatchProcessor):
        def _collect(self):
            late.wait(20)
            return super()._collect()

    processor = Late("traces", Sink(), counts)
    processor.shutdown(0.01)
    late.set()
    processor._thread.join(5)
    assert not processor._thread.is_alive()


def test_a_lonely_span_waits_no_longer_than_the_delay(counts, tracer_for, until):
    sink = Sink()
    processor = BatchProcessor("traces", sink, counts, Limits(delay_s=0.01))
    emit(tracer_for(processor), 1)
    until(lambda: names(sink) == ["span 0"])
    processor.shutdown()


def test_spans_that_are_not_sampled_are_not_taken(counts, tracer_for):
    sink = Sink()
    processor = BatchProcessor("traces", sink, counts)
    emit(tracer_for(processor, ALWAYS_OFF), 3)
    assert processor.force_flush(5000)
    assert sink.batches == []
    processor.shutdown()


def test_a_full_queue_drops_the_newest_counts_it_and_logs_nothing(counts, tracer_for, caplog):
    sink = Sink(held=True)
    processor = BatchProcessor("traces", sink, counts, Limits(queue=7, batch=1, delay_s=0.01))
    tracer = tracer_for(processor)
    emit(tracer, 1)
    assert sink.entered.wait(5)
    emit(tracer, 20)
    sink.let_go.set()
    assert not processor.force_flush(5000)
    assert names(sink) == ["span 0", *(f"span {number}" for number in range(7))]
    assert counts.of == {("telemetry.dropped", "traces", "queue_full"): 13}
    assert caplog.records == []
    assert processor.force_flush(5000)
    processor.shutdown()


def test_a_flush_is_bounded_and_says_that_it_did_not_get_through(counts, tracer_for):
    sink = Sink(held=True)
    processor = BatchProcessor("traces", sink, counts, Limits(delay_s=0.01))
    emit(tracer_for(processor), 3)
    started = time.monotonic()
    assert not processor.force_flush(100)
    assert time.monotonic() - started < 2
    sink.let_go.set()
    assert processor.force_flush(5000)
    processor.shutdown()


def test_a_flush_tells_of_losses_once(counts, tracer_for):
    sink = Sink()
    processor = BatchProcessor("traces", sink, counts)
    emit(tracer_for(processor), 3)
    sink.lost = 3
    assert [processor.force_flush(5000), processor.force_flush(5000)] == [False, True]
    processor.shutdown()


def test_shutdown_delivers_what_waits(counts, tracer_for):
    sink = Sink()
    processor = BatchProcessor("traces", sink, counts, Limits(delay_s=30))
    emit(tracer_for(processor), 17)
    processor.shutdown()
    assert len(names(sink)) == 17
    assert counts.of == {}
    assert len(sink.closed) == 1


def test_shutdown_is_bounded_and_counts_what_is_left(counts, tracer_for):
    sink = Sink(held=True)
    processor = BatchProcessor("traces", sink, counts, Limits(queue=100, batch=1, delay_s=0.01))
    tracer = tracer_for(processor)
    emit(tracer, 1)
    assert sink.entered.wait(5)
    emit(tracer, 13)
    started = time.monotonic()
    processor.shutdown(timeout_s=0.3)
    assert time.monotonic() - started < 1
    assert counts.of == {("telemetry.dropped", "traces", "shutdown"): 13}
    sink.let_go.set()
    processor._thread.join(5)
    assert names(sink) == ["span 0"]


def test_after_shutdown_spans_are_counted_and_flush_and_shutdown_do_nothing(counts, tracer_for):
    sink = Sink()
    processor = BatchProcessor("traces", sink, counts)
    tracer = tracer_for(processor)
    processor.shutdown()
    emit(tracer, 3)
    processor.shutdown()
    assert not processor.force_flush(5000)
    assert counts.of == {("telemetry.dropped", "traces", "shutdown"): 3}
    assert len(sink.closed) == 1


def test_a_sink_that_raises_loses_its_batch_and_the_worker_lives_on(counts, tracer_for):
    sink = Sink()
    take = sink.export

    def first_fails(_batch):
        sink.export = take
        raise OSError("odd")

    sink.export = first_fails
    processor = BatchProcessor("traces", sink, counts)
    tracer = tracer_for(processor)
    emit(tracer, 3)
    assert not processor.force_flush(5000)
    emit(tracer, 2)
    assert processor.force_flush(5000)
    assert names(sink) == ["span 0", "span 1"]
    assert counts.of == {("telemetry.dropped", "traces", "rejected"): 3}
    processor.shutdown()


def test_a_tally_that_raises_does_not_reach_the_agent(tracer_for):
    def broken(*_):
        raise RuntimeError("odd")

    processor = BatchProcessor("traces", Sink(), broken)
    tracer = tracer_for(processor)
    processor.shutdown()
    emit(tracer, 1)


def test_the_queue_takes_spans_of_a_finalizer_while_it_takes_one(counts, tracer_for):
    sink = Sink()
    processor = BatchProcessor("traces", sink, counts)
    tracer = tracer_for(processor)

    class Abandoned:
        pass

    for _ in range(50):
        one, other = Abandoned(), Abandoned()
        one.other, other.other = other, one
        weakref.finalize(one, emit, tracer, 1)
        del one, other
        emit(tracer, 1)
    gc.collect()
    assert processor.force_flush(5000)
    assert len(names(sink)) == 100
    processor.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forking with threads is the point
def test_a_forked_child_starts_empty_with_a_thread_of_its_own(counts, tracer_for):
    sink = Sink(held=True)
    processor = BatchProcessor("traces", sink, counts, Limits(batch=1, delay_s=0.01))
    tracer = tracer_for(processor)
    emit(tracer, 1)
    assert sink.entered.wait(5)
    emit(tracer, 3)
    child = os.fork()
    if child == 0:
        sink.let_go.set()
        emit(tracer, 2)
        ok = processor.force_flush(5000) and names(sink) == ["span 0", "span 1"] and sink.forks == 1
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    sink.let_go.set()
    assert processor.force_flush(5000)
    assert len(names(sink)) == 4
    processor.shutdown()


@pytest.mark.parametrize(
    ("signal", "environ", "expected"),
    [
        ("traces", {}, Limits(4096, 512, 1.0)),
        ("logs", {"OTEL_BSP_MAX_QUEUE_SIZE": "11"}, Limits(4096, 512, 1.0)),
        ("traces", {"OTEL_BSP_MAX_QUEUE_SIZE": "11", "OTEL_BSP_SCHEDULE_DELAY": "1300"}, Limits(11, 11, 1.3)),
        ("logs", {"OTEL_BLRP_MAX_QUEUE_SIZE": "many", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "17"}, Limits(4096, 17, 1.0)),
        ("logs", {"OTEL_BLRP_MAX_QUEUE_SIZE": "0", "OTEL_BLRP_SCHEDULE_DELAY": "-1"}, Limits(4096, 512, 1.0)),
    ],
)
def test_limits_come_from_the_environment_where_it_makes_sense(signal, environ, expected):
    assert Limits.of(signal, environ) == expected
