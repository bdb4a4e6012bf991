"""Hooks as decorators and context managers leave the host as it was."""

from __future__ import annotations

import asyncio
import inspect
import pickle

import pytest

import tachograph
from tachograph import recording as steps
from tachograph.telemetry import guard, recorder
from tachograph.testing import recording


class Boom(Exception):  # noqa: N818 - the sound it makes
    pass


@tachograph.tool("lookup")
def lookup(key: str, *, limit: int = 13) -> str:
    """Looks a key up."""
    if key == "boom":
        raise Boom(key)
    return f"{key}:{limit}"


@tachograph.tool("alookup")
async def alookup(key: str) -> str:
    await asyncio.sleep(0)
    if key == "boom":
        raise Boom(key)
    return key


@tachograph.tool("stream")
def stream(count: int):
    total = 0
    for number in range(count):
        sent = yield number
        total += sent or 0
    return total


@tachograph.tool("astream")
async def astream(count: int):
    for number in range(count):
        yield number


def test_a_decorated_function_keeps_result_signature_kind_and_pickling():
    with recording():
        assert lookup("a", limit=17) == "a:17"
    assert lookup("a") == "a:13"
    assert str(inspect.signature(lookup)) == "(key: 'str', *, limit: 'int' = 13) -> 'str'"
    assert lookup.__doc__ == "Looks a key up."
    assert pickle.loads(pickle.dumps(lookup)) is lookup  # noqa: S301 - our own function
    kinds = (
        inspect.iscoroutinefunction(lookup),
        inspect.iscoroutinefunction(alookup),
        inspect.isgeneratorfunction(stream),
        inspect.isasyncgenfunction(astream),
    )
    assert kinds == (False, True, True, True)


def test_the_hosts_exception_passes_through_unchanged_and_is_recorded_by_its_type_only():
    with recording() as recorded, pytest.raises(Boom) as caught:
        lookup("boom")
    assert caught.value.args == ("boom",)
    assert recorded.values("tool", "tachograph.tool.outcome") == ["error"]
    assert recorded.values("tool", "error.type") == ["Boom"]
    assert recorded.sdk_spans()[0].status.description == "Boom"
    assert recorded.sdk_spans()[0].events == ()


def test_async_functions_are_timed_until_they_are_done():
    async def main() -> list[str]:
        return [await alookup("a"), await alookup("b")]

    with recording() as recorded:
        assert asyncio.run(main()) == ["a", "b"]
    assert recorded.values("tool", "tachograph.tool.outcome") == ["success", "success"]


def test_a_cancelled_task_is_cancelled_not_failed():
    @tachograph.tool("slow")
    async def slow() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with recording() as recorded:
        asyncio.run(main())
    assert recorded.values("tool", "tachograph.tool.outcome") == ["cancelled"]
    assert recorded.sdk_spans()[0].status.is_ok


def test_a_generator_keeps_send_throw_return_value_and_early_exit():
    with recording() as recorded:
        generator = stream(3)
        assert [next(generator), generator.send(11), generator.send(17)] == [0, 1, 2]
        with pytest.raises(StopIteration) as stop:
            generator.send(13)
        assert stop.value.value == 41
        thrown = stream(3)
        next(thrown)
        with pytest.raises(Boom):
            thrown.throw(Boom())
        left = stream(3)
        next(left)
        left.close()
    assert recorded.values("tool", "tachograph.tool.outcome") == ["success", "error", "cancelled"]


def test_a_generators_span_is_not_current_while_its_consumer_runs():
    with recording() as recorded:
        for _ in stream(2):
            with tachograph.tool("inside"):
                pass
    parents = {span["name"]: span["parent"] for span in recorded.spans()}
    assert parents == {"execute_tool inside": None, "execute_tool stream": None}


def test_an_async_generator_that_is_left_early_ends_its_span():
    async def main() -> list[int]:
        seen: list[int] = []
        numbers = astream(5)
        async for number in numbers:
            seen.append(number)
            if number == 2:
                break
        await numbers.aclose()
        return seen

    with recording() as recorded:
        assert asyncio.run(main()) == [0, 1, 2]
    assert recorded.values("tool", "tachograph.tool.outcome") == ["cancelled"]


def test_a_sync_function_that_returns_an_awaitable_is_recorded_until_that_is_done():
    @tachograph.tool("later")
    def later(value: int):
        async def work() -> int:
            await asyncio.sleep(0)
            return value

        return work()

    async def main() -> int:
        return await later(13)

    with recording() as recorded:
        assert asyncio.run(main()) == 13
    assert recorded.values("tool", "tachograph.tool.outcome") == ["success"]


def test_one_hook_object_may_be_entered_again_while_it_is_open():
    step = tachograph.turn("outer")
    with recording() as recorded, step, step:
        pass
    assert [span["parent"] for span in recorded.spans()] == ["turn outer", None]


def test_without_instrument_a_hook_does_nothing():
    with tachograph.run("agent") as run, tachograph.tool("lookup") as call:
        call.result("x")
        assert (run.id, call.call_id) == (None, None)


ours = [
    (steps.Recording, "begin"),
    (steps.Recording, "finish"),
    (steps.Recording, "attach"),
    (steps.Recording, "detach"),
    (recorder.Recorder, "span"),
    (recorder.Recorder, "event"),
    (recorder.Recorder, "cover"),
    (recorder.Recorder, "common"),
    (recorder.Recorder, "hashed"),
]


@pytest.mark.parametrize(("owner", "name"), ours, ids=lambda value: getattr(value, "__name__", value))
def test_the_agent_does_not_notice_when_our_own_code_fails(owner, name, monkeypatch, caplog):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    async def everything() -> list[object]:
        got: list[object] = []
        with tachograph.run("agent", tenant="acme") as run, tachograph.turn():
            with tachograph.llm_call("gpt-4o") as llm:
                llm.usage(input_tokens=11, output_tokens=13)
            with tachograph.checkpoint("args", stage="pre_tool", tool="lookup") as check:
                check.decide("allow")
            with tachograph.approval("lookup", arguments={"a": 1}) as ask:
                ask.shown("diff")
                ask.approve("eve")
            with tachograph.tool("refund", effect="write", arguments={"a": 1}, idempotency_key="k") as call:
                call.result("x")
                tachograph.retry(2, error="timeout")
            with tachograph.cache("faq", key="q") as entry:
                entry.hit(tenant="acme", age=3.0)
            with tachograph.limiter("search", limit=2) as slot:
                slot.acquired()
            with tachograph.degraded("no_retrieval", trigger="retrieval_down") as mode:
                mode.disclosed()
            with tachograph.route("router", candidates=["a", "b"]) as choice:
                choice.choose("a")
            with tachograph.plan() as plan, tachograph.delegate("a"), tachograph.combine("vote"):
                plan.subtasks(2)
            tachograph.evidence("c", source="tool_call", ref="x")
            tachograph.budget("turns", limit=3, used=3)
            tachograph.evaluation("correct", score=1.0)
            tachograph.gate("success", verdict="pass", decision="promote")
            tachograph.release("r1")
            run.outcome("success")
        got += [lookup("a"), await alookup("b"), list(stream(3)), [number async for number in astream(2)]]
        for call_ in (lambda: lookup("boom"), lambda: asyncio.get_running_loop().run_in_executor(None, lookup, "boom")):
            try:
                result = call_()
                got.append(await result if inspect.isawaitable(result) else result)
            except Boom as error:
                got.append(error.args)
        return got

    expected = ["a:13", "b", [0, 1, 2], [0, 1], ("boom",), ("boom",)]
    guard.failures.clear()
    with recording():
        monkeypatch.setattr(owner, name, broken)
        assert asyncio.run(everything()) == expected
        monkeypatch.undo()
    assert sum(guard.failures.values()) > 0
    logged = [record.getMessage() for record in caplog.records if record.name == "tachograph"]
    assert 0 < len(logged) <= sum(guard.failures.values())


def test_each_cause_is_logged_once_and_every_failure_counted(monkeypatch, caplog):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    guard.failures.clear()
    with recording():
        monkeypatch.setattr(recorder.Recorder, "span", broken)
        for _ in range(7):
            lookup("a")
    assert guard.failures == {"tool": 7}
    assert len([record for record in caplog.records if record.name == "tachograph"]) == 1
