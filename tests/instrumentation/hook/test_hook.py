"""Hooks as decorators and context managers leave the host as it was."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import logging
import pickle
import subprocess
import sys
import types
import weakref
from pathlib import Path

import pytest
from opentelemetry import trace

import tachograph
from tachograph import recording as steps
from tachograph.hook import Hook
from tachograph.run import current_tool
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


def test_an_async_generators_span_is_not_current_while_its_consumer_runs():
    async def main() -> None:
        async for _ in astream(2):
            with tachograph.tool("inside"):
                pass

    with recording() as recorded:
        asyncio.run(main())
    parents = {span["name"]: span["parent"] for span in recorded.spans()}
    assert parents == {"execute_tool inside": None, "execute_tool astream": None}


def test_a_generators_cleanup_belongs_to_its_step_and_to_the_hosts_own_context():
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("host", default=11)

    @tachograph.tool("outer")
    def outer():
        token = variable.set(13)
        try:
            yield 17
        finally:
            variable.reset(token)  # raises in any other context
            with tachograph.tool("inside"):
                pass

    with recording() as recorded:
        generator = outer()
        next(generator)
        generator.close()
    assert variable.get() == 11
    assert [(span["name"], span["parent"]) for span in recorded.spans()] == [
        ("execute_tool inside", "execute_tool outer"),
        ("execute_tool outer", None),
    ]


class Holder:
    """A cycle that holds an open generator."""

    def __init__(self, generator: object) -> None:
        self.generator = generator
        self.holder = self


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="later Pythons collect where setting a variable is safe")
@pytest.mark.parametrize("use", ["decorated", "with"])
def test_a_generator_that_the_garbage_collector_closes_leaves_the_running_context_alone(use):
    seen: list[object] = []

    def abandoned():
        try:
            yield 11
        finally:
            seen.append(current_tool())

    def inside():
        with tachograph.tool("abandoned"):
            yield 11

    generator = tachograph.tool("abandoned")(abandoned)() if use == "decorated" else inside()
    with recording() as recorded:
        next(generator)
        Holder(generator)
        del generator
        with tachograph.tool("other") as other:
            gc.collect()
            assert (current_tool(), trace.get_current_span()) == (other, other.span)
        assert (current_tool(), trace.get_current_span()) == (None, trace.INVALID_SPAN)
        with tachograph.tool("next"):
            pass
    assert seen == ([other] if use == "decorated" else [])
    assert recorded.values("tool", "tachograph.tool.outcome") == ["cancelled", "success", "success"]
    assert recorded.spans()[-1]["parent"] is None


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="later Pythons collect where setting a variable is safe")
def test_a_finalizer_sets_nothing_and_what_it_left_is_gone_with_the_next_step():
    seen: list[object] = []

    class Finalized(Holder):
        def __del__(self) -> None:
            with tachograph.tool("finalizer"):
                seen.append(current_tool())

    def inside():
        with tachograph.tool("abandoned"):
            yield 11

    with recording() as recorded:
        Finalized(None)
        gc.collect()
        generator = inside()
        next(generator)
        Holder(generator)
        del generator
        gc.collect()
        with tachograph.tool("next"):
            pass
        assert current_tool() is None
    parents = {span["name"]: span["parent"] for span in recorded.spans()}
    assert seen == [None]
    assert parents == dict.fromkeys(("execute_tool finalizer", "execute_tool abandoned", "execute_tool next"))


@pytest.mark.parametrize("kind", ["stream", "astream", "inside"])
def test_the_interpreter_survives_steps_that_are_ended_by_the_garbage_collector(kind):
    program = Path(__file__).with_name("collected.py")
    # in development mode collections fall elsewhere: there one generator is ended before the one that it is inside of
    command = [sys.executable, "-X", "dev", program, kind]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "None 2000\n")


def test_a_generator_that_swallows_its_closing_does_what_it_did_before():
    def stubborn():
        try:
            yield 11
        except GeneratorExit:
            yield 13

    def answering():
        try:
            yield 11
        except GeneratorExit:
            return 17

    def seen(function) -> list[object]:
        got: list[object] = []
        first, second = function(), function()
        next(first)
        try:
            got.append(first.close())
        except RuntimeError as error:
            got.append(error.args)
        next(second)
        try:
            got.append(second.throw(GeneratorExit()))
        except StopIteration as stop:
            got.append(stop.value)
        return got

    for function in (stubborn, answering):
        hooked = tachograph.tool("x")(function)
        with recording():
            assert seen(hooked) == seen(function)
        assert seen(hooked) == seen(function)


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


def test_a_generator_based_coroutine_stays_awaitable():
    @types.coroutine
    def chat():
        yield from asyncio.sleep(0).__await__()
        return "answer"

    async def main() -> str:
        return await tachograph.tool("chat")(chat)()

    assert asyncio.run(main()) == "answer"
    with recording() as recorded:
        assert asyncio.run(main()) == "answer"
    assert recorded.values("tool", "tachograph.tool.outcome") == ["success"]


def test_wrong_arguments_are_an_error_of_the_call_whatever_its_kind():
    async def main() -> None:
        with pytest.raises(TypeError):
            lookup()
        with pytest.raises(TypeError):
            await alookup()
        with pytest.raises(TypeError):
            next(stream())
        with pytest.raises(TypeError):
            await anext(astream())
        assert current_tool() is None

    with recording() as recorded:
        asyncio.run(main())
    assert recorded.values("tool", "error.type") == ["TypeError"] * 4


class Lazy:
    evaluated = 0

    @property
    def __class__(self):
        Lazy.evaluated += 1
        raise RuntimeError("evaluated")


def test_a_result_is_not_asked_what_it_is():
    def dead():
        return weakref.proxy(Boom())

    with recording() as recorded:
        assert type(tachograph.turn("dead")(dead)()) is weakref.ProxyType
        assert type(tachograph.turn("lazy")(Lazy)()) is Lazy
    assert Lazy.evaluated == 0
    assert [span["name"] for span in recorded.spans()] == ["turn dead", "turn lazy"]


def test_a_future_is_recorded_with_its_result_and_a_lost_exception_is_still_reported(caplog):
    async def work(key: str) -> str:
        await asyncio.sleep(0)
        return lookup.__wrapped__(key)

    @tachograph.tool("later")
    def later(key: str):
        return asyncio.ensure_future(work(key))

    async def main() -> str:
        later("boom")
        cancelled = later("c")
        cancelled.cancel()
        result = await later("abc")
        await asyncio.sleep(0)
        gc.collect()
        return result

    with recording() as recorded, caplog.at_level(logging.ERROR, "asyncio"):
        assert asyncio.run(main()) == "abc:13"
    assert recorded.values("tool", "tachograph.tool.outcome") == ["cancelled", "error", "success"]
    assert recorded.values("tool", "tachograph.tool.result.bytes") == [None, None, 6]
    lost = [record.getMessage().partition("\n")[0] for record in caplog.records if record.name == "asyncio"]
    assert lost == ["Task exception was never retrieved"]


def test_steps_that_end_out_of_order_leave_nothing_current():
    with recording() as recorded:
        outer, inner = tachograph.run("outer"), tachograph.turn("inner")
        outer.__enter__()
        opened = inner.__enter__()
        outer.__exit__(None, None, None)
        assert trace.get_current_span() is opened.span
        inner.__exit__(None, None, None)
        assert (tachograph.run_id(), trace.get_current_span()) == (None, trace.INVALID_SPAN)
        with tachograph.turn("next"):
            pass
    parents = {span["name"]: span["parent"] for span in recorded.spans()}
    assert parents == {"invoke_agent outer": None, "turn inner": "invoke_agent outer", "turn next": None}


def test_one_hook_object_in_several_tasks_records_each_on_its_own():
    hook = tachograph.llm_call("gpt-4o")

    async def call(tokens: int, turns: int, *, fails: bool) -> None:
        async with hook as step:
            step.usage(input_tokens=tokens, output_tokens=1)
            for _ in range(turns):
                await asyncio.sleep(0)
            if fails:
                raise Boom

    async def main() -> None:
        async with hook as around:
            around.usage(input_tokens=17, output_tokens=1)
            await asyncio.gather(call(11, 2, fails=True), call(13, 4, fails=False), return_exceptions=True)

    with recording() as recorded:
        asyncio.run(main())
    tokens = recorded.values("llm", "gen_ai.usage.input_tokens")
    assert list(zip(tokens, recorded.values("llm", "tachograph.llm.outcome"), strict=True)) == [
        (11, "error"),
        (13, "success"),
        (17, "success"),
    ]


def test_a_step_that_is_left_in_another_context_is_ended_there():
    hook = tachograph.turn("elsewhere")
    with recording() as recorded:
        contextvars.copy_context().run(hook.__enter__)
        hook.__exit__(None, None, None)
        hook.__exit__(None, None, None)  # once too often
    assert [span["name"] for span in recorded.spans()] == ["turn elsewhere"]


def test_one_hook_object_may_be_entered_again_while_it_is_open():
    step = tachograph.turn("outer")
    with recording() as recorded, step, step:
        pass
    assert [span["parent"] for span in recorded.spans()] == ["turn outer", None]


def test_without_instrument_a_hook_does_nothing():
    with tachograph.run("agent") as run, tachograph.tool("lookup") as call:
        call.result("x")
        assert (run.id, call.call_id) == (None, None)


odd = {
    "route": lambda: tachograph.route("r", candidates=(name for name in "ab")),
    "tool": lambda: tachograph.tool("t", timeout="5s"),
    "cache": lambda: tachograph.cache("c", parts=5),
}


@pytest.mark.parametrize("name", odd)
def test_odd_arguments_of_a_hook_are_no_problem_of_the_agents(name):
    def broken() -> steps.Recording:
        raise ValueError(name)

    for hook in (odd[name](), Hook(broken)):
        with hook:  # without instrument()
            pass
        with recording(), hook as step:
            assert current_tool() in {None, step}
    guard.failures.clear()
    with recording() as recorded, Hook(broken) as step:
        assert (step.choose("a"), step.hit(tenant="acme"), step.result("x"), step.id, step.call_id) == (None,) * 5
    assert (guard.failures, recorded.spans()) == ({"instrument": 1}, [])


def test_without_instrument_a_hooks_arguments_are_not_touched():
    parts = iter(["tenant", "user"])
    with tachograph.cache("c", parts=parts) as entry:
        entry.hit(tenant="acme")
    assert list(parts) == ["tenant", "user"]


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


def test_a_step_whose_end_fails_does_not_stay_current(monkeypatch):
    def broken() -> int:
        raise RuntimeError("ours")

    with recording() as recorded:
        with tachograph.tool("x"):
            monkeypatch.setattr(recorded.recorder, "clock", broken)
        assert (current_tool(), trace.get_current_span()) == (None, trace.INVALID_SPAN)


def test_what_is_logged_of_a_failure_is_its_type_and_our_frames_and_no_message(caplog):
    class Audit:
        def append(self, entry: object) -> None:
            raise OSError("disk of Alice Smith full")

    def refund() -> None:
        with tachograph.tool("refund", effect="write"):
            raise Boom("card of Alice Smith declined")

    with recording(audit_log=Audit()), pytest.raises(Boom):
        refund()
    (record,) = [record for record in caplog.records if record.name == "tachograph"]
    logged = logging.Formatter().format(record)
    assert "Alice" not in logged
    assert "OSError in tachograph.audit.writer:" in logged
    assert "test_hook" not in logged


def plain_function(key: str) -> str:
    return key


async def async_function(key: str) -> str:
    return key


@pytest.mark.parametrize("name", ["tool", "run", "turn", "plan"])
def test_a_decorator_without_parentheses_decorates(name):
    decorate = getattr(tachograph, name)
    sync, later = decorate(plain_function), decorate(async_function)
    assert (sync.__name__, inspect.signature(sync)) == ("plain_function", inspect.signature(plain_function))
    assert inspect.iscoroutinefunction(later)
    assert (sync("k"), asyncio.run(later("k"))) == ("k", "k"), "without instrument()"
    with recording() as recorded:
        assert (sync("k"), asyncio.run(later("k"))) == ("k", "k")
    assert len(recorded.spans(name)) == 2


def test_a_tool_without_a_name_is_called_as_its_function_and_a_run_belongs_to_the_process():
    tool, bound = tachograph.tool(plain_function), tachograph.tool(functools.partial(async_function, "k"))
    with recording("desk") as recorded:
        tachograph.run(tool)("k")
        asyncio.run(bound())
    assert recorded.values("tool", "gen_ai.tool.name") == ["plain_function", "async_function"]
    assert recorded.values("run", "gen_ai.agent.name") == ["desk"]


@pytest.mark.parametrize("name", ["llm_call", "approval", "cache", "route", "delegate", "combine"])
def test_a_hook_that_is_not_named_as_its_function_says_so_where_it_is_put(name):
    with pytest.raises(TypeError, match=rf"^@tachograph.{name} without parentheses .* use @tachograph.{name}\(name\)"):
        getattr(tachograph, name)(plain_function)
    assert getattr(tachograph, name)("x")(plain_function)("k") == "k"
