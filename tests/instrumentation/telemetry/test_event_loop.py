"""How late event loops are: what is measured, when it begins and ends, and that no loop notices."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from contextvars import ContextVar

import pytest

import tachograph
from tachograph.telemetry import event_loop, guard
from tachograph.testing import recording

LAG = "tachograph.event_loop.lag"
SOON = 0.002  # seconds between two looks, in tests


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(event_loop, "INTERVAL", SOON)


async def until(what, deadline_s=11.0):
    end = time.monotonic() + deadline_s
    while not what():
        assert time.monotonic() < end
        await asyncio.sleep(SOON)


def highest_bucket(recorded) -> float:
    """The upper bound below which the highest value lies."""
    data = recorded._metrics.get_metrics_data()
    points = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == LAG
        for point in metric.data.data_points
    ]
    return max(point.max for point in points)


def test_a_blocked_loop_is_late_and_the_waits_in_it_say_so():
    async def host() -> tuple[float | None, float | None]:
        with tachograph.run("desk"):
            before = event_loop.lag()
            await until(lambda: recorded.metric(LAG) >= 2)
            time.sleep(0.13)  # noqa: ASYNC251 - what is measured: a callback that blocks the loop
            with tachograph.limiter("models", limit=3) as slot:
                slot.acquired()
            during = event_loop.lag()
            await until(lambda: highest_bucket(recorded) >= 0.12)
        return before, during

    with recording() as recorded:
        before, during = asyncio.run(host())
    assert before is None  # nobody has looked yet
    assert during is not None
    assert during >= 0.12
    (wait,) = recorded.events("tachograph.limiter.wait")
    assert wait["attributes"]["tachograph.limiter.loop_lag"] >= 0.12
    assert {dict(series)["gen_ai_agent_name"] for series in recorded.series(LAG)} == {"desk"}


def test_an_idle_loop_is_not_late():
    async def host() -> None:
        with tachograph.tool("lookup"):
            pass
        await until(lambda: recorded.metric(LAG) >= 3)

    with recording() as recorded:
        asyncio.run(host())
    assert highest_bucket(recorded) < 0.1


def test_where_no_loop_runs_nothing_is_measured():
    with recording() as recorded, tachograph.run(), tachograph.limiter("models", limit=3) as slot:
        slot.acquired()
    assert event_loop.lag() is None
    assert recorded.metric(LAG) == 0
    assert "tachograph.limiter.loop_lag" not in recorded.events("tachograph.limiter.wait")[0]["attributes"]


def test_each_loop_is_measured_once_however_many_hooks_it_runs():
    async def host() -> int:
        for _ in range(17):
            async with tachograph.run():
                await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        timers = [*loop._scheduled, *(handle for handle in loop._ready if isinstance(handle, asyncio.TimerHandle))]
        return len([handle for handle in timers if not handle.cancelled()])

    with recording():
        assert [asyncio.run(host()) for _ in range(2)] == [1, 1]


def test_a_loop_that_runs_again_after_another_of_its_thread_keeps_its_probe():
    async def host() -> None:
        async with tachograph.run():
            pass
        await asyncio.sleep(0)

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        with recording():
            for loop in (first, second, first, second):
                loop.run_until_complete(host())
        assert [len(loop._scheduled) for loop in (first, second)] == [1, 1]
    finally:
        first.close()
        second.close()


def test_loops_of_several_threads_are_measured_each():
    def serve() -> None:
        async def host() -> None:
            async with tachograph.run(threading.current_thread().name):
                pass
            await until(lambda: recorded.metric(LAG, gen_ai_agent_name=threading.current_thread().name) >= 2)

        asyncio.run(host())

    with recording() as recorded:
        threads = [threading.Thread(target=serve, name=name) for name in ("north", "south")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {dict(series)["gen_ai_agent_name"] for series in recorded.series(LAG)} == {"north", "south"}


def test_a_loop_ends_at_once_and_is_freed_as_if_nobody_measured_it(monkeypatch):
    monkeypatch.setattr(event_loop, "INTERVAL", 60.0)

    async def host() -> weakref.ref[asyncio.AbstractEventLoop]:
        async with tachograph.run():
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return weakref.ref(asyncio.get_running_loop())

    with recording():
        began = time.monotonic()
        loop = asyncio.run(host(), debug=True)
        assert time.monotonic() - began < 30
        gc.collect()
        assert loop() is None


def test_it_stops_when_nothing_is_recorded_any_more_and_begins_again_when_something_is():
    async def host() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        with recording() as first:
            with tachograph.run():
                pass
            await until(lambda: first.metric(LAG) >= 2)
        await until(lambda: not loop._scheduled or all(handle.cancelled() for handle in loop._scheduled), 5)
        with recording() as second:
            with tachograph.run():
                pass
            await until(lambda: second.metric(LAG) >= 2)
        return int(first.metric(LAG)), int(second.metric(LAG))

    assert min(asyncio.run(host())) >= 2


def test_what_a_request_holds_does_not_live_on_in_the_loop():
    class Payload:
        pass

    async def host() -> bool:
        payload = Payload()
        alive = weakref.ref(payload)

        async def request(payload: Payload) -> None:
            ContextVar("payload").set(payload)
            with tachograph.run():
                await asyncio.sleep(0)

        await asyncio.create_task(request(payload))
        del payload
        await until(lambda: recorded.metric(LAG) >= 2)
        gc.collect()
        return alive() is None

    with recording() as recorded:
        assert asyncio.run(host())


def test_a_loop_that_takes_no_timers_is_left_alone(monkeypatch):
    async def host() -> None:
        def refuse(*_, **__):
            raise NotImplementedError

        monkeypatch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", refuse)
        with tachograph.run():
            pass

    guard.failures.clear()
    with recording() as recorded:
        asyncio.run(host())
    assert len(recorded.spans("run")) == 1
    assert dict(guard.failures) == {"limiter": 1}
