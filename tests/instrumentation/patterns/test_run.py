"""Runs: one id for one request, an outcome for each, totals that are counted once."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

import tachograph
from tachograph.telemetry.correlation import correlate
from tachograph.testing import SteppingClock, recording


def test_every_span_and_event_of_a_run_carries_its_id_agent_workflow_and_tenant():
    with (
        recording("desk") as recorded,
        tachograph.run(workflow="refund", tenant="acme", session="s-11", release="r-13") as run,
    ):
        with tachograph.turn(), tachograph.tool("lookup"):
            tachograph.budget("turns", limit=13, used=1)
    expected = {
        "tachograph.run.id": run.id,
        "gen_ai.agent.name": "desk",
        "tachograph.workflow": "refund",
        "tachograph.tenant.id": "acme",
        "gen_ai.conversation.id": "s-11",
        "tachograph.release.id": "r-13",
    }
    for span in recorded.sdk_spans():
        assert expected.items() <= dict(span.attributes or {}).items()
    assert len({span.context.trace_id for span in recorded.sdk_spans() if span.context}) == 1


def test_a_run_that_says_nothing_succeeds_one_that_raises_fails_one_that_is_cancelled_is_cancelled():
    with recording() as recorded:
        with tachograph.run():
            pass
        with pytest.raises(LookupError), tachograph.run():
            raise LookupError
        with pytest.raises(asyncio.CancelledError), tachograph.run():
            raise asyncio.CancelledError
        with pytest.raises(TimeoutError), tachograph.run():
            raise TimeoutError
    assert recorded.values("run", "tachograph.run.outcome") == ["success", "failed", "cancelled", "failed"]
    reasons = ["completed", "error", "user_cancelled", "timeout"]
    assert recorded.values("run", "tachograph.run.stop_reason") == reasons
    assert [span["status"] for span in recorded.spans("run")] == ["UNSET", "ERROR", "UNSET", "ERROR"]
    assert recorded.metric("tachograph.runs", tachograph_run_outcome="failed") == 2


def test_a_refusal_is_an_outcome_and_no_error():
    with recording() as recorded, tachograph.run() as run:
        run.outcome("refused", stop_reason="guardrail")
    assert recorded.spans("run")[0]["status"] == "UNSET"
    assert recorded.metric("tachograph.runs", tachograph_run_outcome="refused") == 1
    assert recorded.metric("tachograph.run.stops", tachograph_run_stop_reason="guardrail") == 1


def test_a_suspended_run_is_counted_once_when_it_is_resumed_under_the_same_id():
    with recording() as recorded:
        with tachograph.run() as first:
            first.suspend()
        assert recorded.metric("tachograph.runs") == 0
        with tachograph.run(id=first.id) as second:
            pass
    assert first.id == second.id
    assert recorded.metric("tachograph.runs") == 1
    assert recorded.values("run", "tachograph.run.suspended") == [True, None]


def test_a_run_inside_of_a_run_is_a_step_of_it():
    with recording("desk") as recorded, tachograph.run() as outer, tachograph.run("billing") as inner:
        assert inner.id == outer.id
    assert [(span["name"], span["kind"]) for span in recorded.spans()] == [
        ("step billing", "step"),
        ("invoke_agent desk", "run"),
    ]
    assert recorded.metric("tachograph.runs") == 1


def test_concurrent_runs_do_not_mix():
    async def one(name: str) -> None:
        with tachograph.run(workflow=name):
            await asyncio.sleep(0)
            with tachograph.tool(name):
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(one(name) for name in ("a", "b", "c")))

    with recording() as recorded:
        asyncio.run(main())
    tools = [dict(span.attributes or {}) for span in recorded.sdk_spans() if span.name.startswith("execute_tool")]
    assert {(t["gen_ai.tool.name"], t["tachograph.workflow"]) for t in tools} == {("a", "a"), ("b", "b"), ("c", "c")}


def test_the_end_user_is_a_hash_and_the_answers_confidence_a_metric():
    with recording() as recorded, tachograph.run(user="eve@example.com") as run:
        run.answer(claims=3, assumptions=1, confidence=0.83)
    attributes = recorded.spans("run")[0]["attributes"]
    assert (len(attributes["tachograph.user.hash"]), attributes["tachograph.answer.claims"]) == (16, 3)
    assert "eve" not in str(attributes)
    assert recorded.metric("tachograph.answer.confidence") == 1


def test_durations_come_from_the_clock():
    with recording(clock=SteppingClock(step=0)) as recorded, tachograph.run():
        clock = recorded.recorder.clock
        assert isinstance(clock, SteppingClock)
        clock.advance(13)
    span = recorded.sdk_spans()[0]
    assert (span.end_time or 0) - (span.start_time or 0) == 13_000_000_000


def test_host_log_records_carry_the_run_id_inside_a_run_only(caplog):
    stop = correlate()
    try:
        with recording(), tachograph.run() as run:
            logging.getLogger("host").warning("inside")
        logging.getLogger("host").warning("outside")
    finally:
        stop()
    assert [getattr(record, "tachograph_run_id", None) for record in caplog.records] == [run.id, ""]
    assert logging.getLogRecordFactory() is logging.LogRecord


def test_a_runs_tier_is_the_highest_of_what_it_was_said_to_be_and_of_its_tool_calls():
    with recording() as recorded:
        with tachograph.run(tier=1), tachograph.tool("lookup"):
            pass
        with tachograph.run(), tachograph.tool("pay", effect="write", tier=2):
            pass
    assert recorded.values("run", "tachograph.run.tier") == [1, 2]
    assert recorded.metric("tachograph.runs", tachograph_run_tier=2) == 1


def test_calls_in_a_thread_pool_belong_to_the_run_that_submitted_them():
    def work(name: str) -> str | None:
        with tachograph.tool(name):
            return tachograph.run_id()

    async def main() -> str | None:
        with tachograph.run() as run:
            loop = asyncio.get_running_loop()
            assert await loop.run_in_executor(pool, work, "b") == run.id
        return await asyncio.get_running_loop().run_in_executor(pool, work, "c")

    original = ThreadPoolExecutor.submit
    with recording() as recorded, ThreadPoolExecutor(1) as pool:
        with tachograph.run() as run:
            assert pool.submit(work, "a").result() == run.id
        assert asyncio.run(main()) is None
    parents = {span["name"]: span["parent"] for span in recorded.spans("tool")}
    assert parents == {
        "execute_tool a": "invoke_agent agent",
        "execute_tool b": "invoke_agent agent",
        "execute_tool c": None,
    }
    assert ThreadPoolExecutor.submit is original


@pytest.mark.parametrize("broken", ["attach", "detach"])
def test_a_pools_work_is_done_and_nothing_stays_behind_when_carrying_fails(broken, monkeypatch):
    def fails(*_: object) -> None:
        raise RuntimeError("ours")

    with recording(), ThreadPoolExecutor(1) as pool:
        with tachograph.run() as run:
            monkeypatch.setattr(f"tachograph.telemetry.threads.otel_context.{broken}", fails)
            assert pool.submit(tachograph.run_id).result() == run.id
            with pytest.raises(LookupError):
                pool.submit(lambda: {}["host"]).result()
            monkeypatch.undo()
        assert pool.submit(tachograph.run_id).result() is None


def test_a_task_that_outlives_its_run_begins_runs_of_its_own():
    async def worker(questions: asyncio.Queue[str]) -> None:
        while await questions.get() != "stop":
            with tachograph.run():
                pass

    async def main() -> None:
        questions: asyncio.Queue[str] = asyncio.Queue()
        with tachograph.run():
            task = asyncio.create_task(worker(questions))
            await asyncio.sleep(0)
        for question in ("a", "b", "stop"):
            await questions.put(question)
        await task

    with recording() as recorded:
        asyncio.run(main())
    assert recorded.metric("tachograph.runs") == 3
    assert len(set(recorded.values("run", "tachograph.run.id"))) == 3
