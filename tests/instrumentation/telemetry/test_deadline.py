"""The caller goes on when its time is up, whatever the work does."""

from __future__ import annotations

import threading
import time

from tachograph.telemetry import guard
from tachograph.telemetry.deadline import left, within


def test_work_that_is_over_in_time_is_true_and_its_failure_is_counted():
    done, before = [], guard.failures["export"]
    assert within(time.monotonic() + 10, lambda: done.append(threading.current_thread().name)) is True
    assert within(time.monotonic() + 10, lambda: done[7]) is True
    assert (done, guard.failures["export"]) == (["tachograph-deadline"], before + 1)
    guard.forget_causes()


def test_the_caller_waits_for_slow_work_no_longer_than_it_may():
    released, over = threading.Event(), threading.Event()

    def work():
        released.wait(20)
        over.set()

    began = time.monotonic()
    assert within(began + 0.1, work) is False
    assert time.monotonic() - began < 5
    released.set()
    assert over.wait(10)


def test_where_no_thread_is_to_be_had_the_work_is_done_by_the_caller(monkeypatch):
    def no_thread(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    done = []
    assert within(time.monotonic() + 10, lambda: done.append(threading.current_thread())) is True
    assert done == [threading.current_thread()]


def test_no_time_is_less_than_none():
    assert left(time.monotonic() - 11) == 0
    assert left(float("inf")) == threading.TIMEOUT_MAX
