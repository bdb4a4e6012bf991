"""A hooked agent returns, raises, pickles and introspects as it did before."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import inspect
import pickle

import pytest
from instrumentation.plain.agents import kinds

from tachograph import recording as hooks
from tachograph.plain import call as plain_call
from tachograph.plain.install import install
from tachograph.telemetry import guard, recorder
from tachograph.testing import recording

FUNCTIONS = ("generate", "complete", "chat", "llm", "ask", "run_step")
METHODS = ("call_tool", "route", "combine", "decompose", "run")


def sync_generator() -> list[object]:
    kinds.CLOSED.clear()
    got: list[object] = []
    generator = kinds.chat(4)
    got += [next(generator), generator.send(11), generator.throw(kinds.BoomError()), generator.send(13)]
    try:
        generator.send(17)
    except StopIteration as stop:
        got.append(stop.value)
    left = kinds.chat(3)
    next(left)
    left.close()
    broken = kinds.chat(3)
    next(broken)
    try:
        broken.throw(ValueError("17"))
    except ValueError as error:
        got.append(error.args)
    got.append(list(kinds.CLOSED))
    return got


async def async_generator() -> list[object]:
    kinds.CLOSED.clear()
    generator = kinds.llm(4)
    got: list[object] = [
        await anext(generator),
        await generator.asend(11),
        await generator.athrow(kinds.BoomError()),
        await generator.asend(13),
    ]
    try:
        await generator.asend(17)
    except StopAsyncIteration:
        got.append("stop")
    left = kinds.llm(3)
    async for item in left:
        got.append(item)
        break
    await left.aclose()
    got.append(list(kinds.CLOSED))
    return got


def outcome(function, *args) -> object:
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return type(error), error.args


def behaviour() -> dict[str, object]:
    child = kinds.Child()
    with kinds.run_step("one") as step:
        pass
    return {
        "function": [outcome(kinds.generate, "hello"), outcome(kinds.generate, "boom"), outcome(kinds.generate)],
        "async": [outcome(asyncio.run, kinds.complete(prompt)) for prompt in ("hello", "boom")],
        "generator": sync_generator(),
        "async generator": asyncio.run(async_generator()),
        "sync over async": kinds.ask("hello"),
        "context manager": step,
        "methods": [child.call_tool("lookup", {"a": 11}), child.route("x"), kinds.Base().route("x")],
        "async method": asyncio.run(child.run("y")),
        "static": [child.combine([11, 13]), kinds.Base.combine([17])],
        "class": [child.decompose("a b"), kinds.Base.decompose("c")],
        "subclass made later": type("Late", (kinds.Child,), {})().decompose("d"),
    }  # fmt: skip


def again(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - made in the line itself


def introspection() -> dict[str, object]:
    found: dict[str, object] = {}
    places = [(kinds, name) for name in FUNCTIONS] + [(kinds.Base, name) for name in METHODS] + [(kinds.Child, "route")]
    for owner, name in places:
        function = getattr(owner, name)
        found[f"{owner.__name__}.{name}"] = (
            str(inspect.signature(function)), function.__name__, function.__qualname__, function.__module__,
            function.__doc__,
            inspect.iscoroutinefunction(function), asyncio.iscoroutinefunction(function),
            inspect.isgeneratorfunction(function), inspect.isasyncgenfunction(function), inspect.isfunction(function),
            inspect.ismethod(function), type(inspect.getattr_static(owner, name)),
        )  # fmt: skip
    return found


@pytest.mark.parametrize("active", [True, False], ids=["recording", "not recording"])
def test_results_and_exceptions_are_the_same(active, hook):
    plain = behaviour()
    hook(kinds)
    if not active:
        assert behaviour() == plain
        return
    with recording() as recorded:
        assert behaviour() == plain
    assert len(recorded.sdk_spans()) > 20


def test_signatures_names_and_kinds_are_the_same(hook):
    plain = introspection()
    hook(kinds)
    assert introspection() == plain


def test_an_exception_is_the_same_object_with_the_same_context(hook, recorded):
    error = kinds.BoomError("13")

    class Agent:
        def call_tool(self, tool: str) -> None:
            raise error

    hook(Agent)
    with pytest.raises(kinds.BoomError) as caught:
        Agent().call_tool("lookup")
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert recorded.values("tool", "error.type") == ["BoomError"]


def test_functions_instances_and_bound_methods_pickle_and_copy(hook):
    hook(kinds)
    child = kinds.Child()
    child.answers = 13
    assert again(kinds.generate) is kinds.generate
    assert again(child).answers == 13
    assert again(child.route)("x") == "child of base"
    assert again(kinds.Child.decompose)("x") == ["Child", "x"]
    assert (copy.deepcopy(child).answers, copy.deepcopy(kinds.generate) is kinds.generate) == (13, True)
    assert copy.deepcopy(functools.partial(kinds.generate, "a"))() == "A"


def test_super_is_one_step_of_the_class_that_was_called(hook, recorded):
    hook(kinds)
    assert kinds.Child().call_tool("lookup", {"a": 11}) == ("Child", "LOOKUP")
    kinds.Child().route("x")
    assert [span["name"] for span in recorded.spans()] == ["execute_tool lookup", "route route"]


def test_a_method_that_calls_itself_is_a_step_each_time(hook, recorded):
    class Agent:
        def call_tool(self, tool: str, depth: int = 0) -> int:
            return depth if depth == 2 else self.call_tool(tool, depth + 1)

    hook(Agent)
    Agent().call_tool("lookup")
    assert len(recorded.spans("tool")) == 3


class Purse:
    def check_budget(self, type: str, limit: float, used: float) -> bool:
        return used < limit


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("ours")


OURS = [
    (hooks.Recording, "begin"), (hooks.Recording, "finish"), (hooks.Recording, "attach"), (hooks.Recording, "detach"),
    (plain_call.Observed, "__init__"), (plain_call.Observed, "bound"), (plain_call.Observed, "begin"),
    (plain_call.Observed, "attach"), (plain_call.Observed, "detach"), (plain_call.Observed, "returned"),
    (plain_call.Observed, "finish"), (plain_call, "called"), (recorder.Recorder, "span"), (recorder.Recorder, "event"),
    (recorder.Recorder, "cover"), (recorder.Recorder, "common"), (recorder.Recorder, "hashed"),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "name"), OURS, ids=lambda value: getattr(value, "__name__", value))
def test_the_agent_does_not_notice_when_our_own_code_fails(owner, name, hook, monkeypatch):
    from instrumentation.plain.agents import desk

    def everything() -> list[object]:
        calls = [("refund", {"amount": 11}), ("lookup", {"amount": 404}), ("wipe", {}), ("refund", {"amount": 666})]
        return [
            behaviour(),
            desk.handle(desk.Request("acme", "please 4111", calls=calls)),
            outcome(desk.handle, desk.Request("acme", "forbidden")),
            Purse().check_budget("cost", 0.13, 0.11),
        ]

    plain = everything()
    hook([kinds, desk, Purse])
    guard.failures.clear()
    with recording():
        monkeypatch.setattr(owner, name, broken)
        assert contextvars.copy_context().run(everything) == plain  # what broken code of ours leaves current ends there
        monkeypatch.undo()
    assert sum(guard.failures.values()) > 0


def test_a_reader_that_fails_changes_nothing(hook, monkeypatch):
    from tachograph.plain import checks

    class Agent:
        def authorize(self, actor: str, tool: str) -> bool:
            return False

    hook(Agent)
    guard.failures.clear()
    monkeypatch.setattr(checks, "verdict", broken)
    with recording():
        assert Agent().authorize("clerk", "refund") is False
    assert guard.failures == {"tool.authz": 1}


def test_undo_while_a_generator_is_open_lets_it_end():
    installation = install(kinds)
    with recording() as recorded:
        generator = kinds.chat(2)
        next(generator)
        installation.undo()
        assert list(generator) == [1]
    assert len(recorded.spans("llm")) == 1


def test_properties_and_attribute_hooks_of_the_host_are_never_run(hook, recorded):
    class Touchy:
        tool = "refund"

        @property
        def name(self) -> str:
            raise AssertionError("a property was read")

        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"{name} was asked for")

        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

        def __repr__(self) -> str:
            raise AssertionError("shown")

        __hash__ = None

    class Agent:
        def validate_tool_call(self, call: Touchy) -> Touchy:
            return call

        def call_tool(self, call: Touchy) -> Touchy:
            return call

    hook(Agent)
    touchy = Touchy()
    assert Agent().call_tool(Agent().validate_tool_call(touchy)) is touchy
    assert [span["name"] for span in recorded.spans()] == [
        "checkpoint pre_tool validate_tool_call",
        "execute_tool refund",
    ]
