"""What install() hooks, what it leaves alone and says so, and that undo restores the very same objects."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import sys
import threading
import weakref
from types import ModuleType
from typing import ClassVar

import pytest
from instrumentation.plain.agents import desk, front, kinds

from tachograph.errors import UsageError
from tachograph.plain.install import Hooked, Skipped, install

DESK = desk.__name__
OF_THE_DESK = {
    "validate_request": "checkpoint.pre_request",
    "plan": "plan",
    "validate_tool_call": "checkpoint.pre_tool",
    "authorize": "tool.authz",
    "call_tool": "tool",
    "validate_tool_result": "checkpoint.post_tool",
    "validate_output": "checkpoint.post_output",
    "handle": "run",
}


def test_a_module_is_hooked_by_the_names_of_its_functions(hook):
    installation = hook(desk)
    assert installation.hooked == tuple(Hooked(DESK, name, by, "convention") for name, by in OF_THE_DESK.items())
    assert installation.skipped == ()
    assert installation.hooks == {*OF_THE_DESK.values(), "tool.idempotency", "tool.output"}


def test_undo_restores_the_very_same_objects_also_where_they_were_imported():
    before = [dict(vars(module)) for module in (desk, front)]
    installation = install(desk)
    assert front.handle is desk.handle
    assert (front.check, front.call_tool) == (desk.validate_request, desk.call_tool)
    assert (desk.handle is before[0]["handle"], front.check is before[1]["check"]) == (False, False)
    assert front.LATE["handle"] is before[0]["handle"], "references inside of containers stay what they were"
    installation.undo()
    for module, names in zip((desk, front), before, strict=True):
        assert all(vars(module)[name] is value for name, value in names.items())
        assert vars(module).keys() == names.keys()


def test_undo_restores_methods_and_their_kinds():
    before = [dict(vars(cls)) for cls in (kinds.Base, kinds.Child)]
    install([kinds.Child, kinds]).undo()
    for cls, names in zip((kinds.Base, kinds.Child), before, strict=True):
        assert all(vars(cls)[name] is value for name, value in names.items())
        assert vars(cls).keys() == names.keys()


def test_a_second_install_hooks_nothing_and_says_so(hook):
    hook(desk)
    now = dict(vars(desk))
    second = hook(desk)
    assert second.hooked == ()
    assert second.skipped == tuple(Skipped(DESK, name, "already hooked") for name in OF_THE_DESK)
    second.undo()
    assert all(vars(desk)[name] is value for name, value in now.items())


def test_what_somebody_else_wrapped_after_us_is_left_and_said(caplog):
    original = desk.plan
    installation = install(desk)
    ours = desk.plan
    desk.plan = theirs = functools.partial(ours)
    try:
        installation.undo()
        assert desk.plan is theirs
        assert [record.getMessage() for record in caplog.records] == [
            f"tachograph: {DESK}.plan was replaced by somebody else after it was hooked and is left as it is."
        ]
        assert desk.plan(desk.Request("acme", "hello")) == []
    finally:
        desk.plan = original


def test_imported_names_belong_to_the_module_that_defines_them(hook):
    installation = hook(front)
    reason = f"imported from {DESK}: name that module as a target to hook it"
    assert installation.hooked == ()
    assert installation.skipped == tuple(Skipped(front.__name__, name, reason) for name in ("call_tool", "handle"))
    assert front.handle is desk.handle


def test_each_class_of_the_users_own_that_defines_a_name_is_hooked(hook):
    installation = hook(kinds.Child)
    assert {(hooked.where.rpartition(".")[2], hooked.name) for hooked in installation.hooked} == {
        ("Child", "call_tool"),
        ("Child", "route"),
        ("Base", "call_tool"),
        ("Base", "route"),
        ("Base", "combine"),
        ("Base", "decompose"),
        ("Base", "run"),
    }
    assert installation.skipped == (Skipped(f"{kinds.__name__}.Base", "plan", "a property: reading it is not a call"),)
    kept = {name: type(vars(kinds.Base)[name]) for name in ("combine", "decompose")}
    assert kept == {"combine": staticmethod, "decompose": classmethod}


def test_an_instance_stands_for_its_class(hook):
    installation = hook(kinds.Child())
    assert installation.hooked[0] == Hooked(
        f"{kinds.__name__}.Child (all instances)", "call_tool", "tool", "convention"
    )
    assert "tool.idempotency" not in installation.hooks


def test_a_library_class_below_the_users_own_is_left_alone(hook):
    class Worker(threading.Thread):
        def handle(self) -> str:
            return "done"

    installation = hook(Worker)
    assert [hooked.name for hooked in installation.hooked] == ["handle"]
    assert threading.Thread.run.__module__ == "threading"
    assert "__wrapped__" not in vars(threading.Thread.run)


def test_what_is_no_python_function_is_skipped_with_its_reason(hook):
    class Agent:
        route = functools.lru_cache(str)
        plan = len
        delegate = functools.partialmethod(print, "a")
        handle = functools.cached_property(str)
        combine = 17

    where = f"{__name__}.{Agent.__qualname__}"
    tail = "only functions and methods written in Python can be hooked"
    assert hook(Agent).skipped == (
        Skipped(where, "route", f"a functools._lru_cache_wrapper: {tail}"),
        Skipped(where, "plan", f"a builtin_function_or_method: {tail}"),
        Skipped(where, "delegate", f"a functools.partialmethod: {tail}"),
        Skipped(where, "handle", "a property: reading it is not a call"),
    )


def test_a_function_decorated_by_hand_is_not_hooked_twice(hook):
    import tachograph

    class Agent:
        @tachograph.tool("refund")
        def call_tool(self) -> None:
            pass

    assert hook(Agent).skipped == (Skipped(f"{__name__}.{Agent.__qualname__}", "call_tool", "already hooked"),)


def test_an_alias_of_a_hooked_function_is_the_same_object(hook):
    class Agent:
        def handle(self) -> int:
            return 13

        invoke = handle

    hook(Agent)
    assert Agent.invoke is Agent.handle


def test_a_mapping_explains_own_names(hook):
    class Agent:
        def vet(self, request: str) -> bool:
            return True

        def do_tool(self, tool: str) -> str:
            return tool

    class Other:
        def vet(self, request: str) -> bool:
            return True

    installation = hook([Agent, Other], {f"{Agent.__qualname__}.vet": "validate_request", "do_tool": "call_tool"})
    where = f"{__name__}.{Agent.__qualname__}"
    assert installation.hooked == (
        Hooked(where, "vet", "checkpoint.pre_request", "mapping"),
        Hooked(where, "do_tool", "tool", "mapping"),
    )


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        (
            {"plan": "cal_tool"},
            "The mapping says that 'plan' is 'cal_tool', which is no name of the convention; nearest are call_tool, ",
        ),
        ({"plam": "plan"}, "The mapping explains 'plam', which the target does not define; nearest are plan, "),
    ],
)  # fmt: skip
def test_a_mapping_with_a_wrong_name_says_what_comes_nearest_and_changes_nothing(mapping, sentence):
    before = dict(vars(desk))
    with pytest.raises(UsageError) as caught:
        install(desk, mapping)
    assert str(caught.value).startswith(sentence)
    assert all(vars(desk)[name] is value for name, value in before.items())


@pytest.mark.parametrize("mapping", [[("plan",)], 13, {"plan": 17}, {17: "plan"}])
def test_a_mapping_of_another_form_is_refused_in_a_sentence(mapping):
    with pytest.raises(UsageError, match="The mapping has to say"):
        install(desk, mapping)


class Interrupted(type):
    """A class that interrupts the one who sets its second attribute."""

    def __setattr__(cls, name: str, value: object) -> None:
        if name == "route" and hasattr(value, "__wrapped__"):
            raise KeyboardInterrupt
        super().__setattr__(name, value)


def test_an_interrupt_undoes_what_was_hooked_so_far():
    class Agent(metaclass=Interrupted):
        def plan(self) -> int:
            return 11

        def route(self) -> int:
            return 13

    before = dict(vars(Agent))
    with pytest.raises(KeyboardInterrupt):
        install(Agent)
    assert (Agent.plan is before["plan"], Agent.route is before["route"]) == (True, True)


def test_a_target_that_cannot_be_looked_at_is_skipped_and_changes_nothing():
    class Opaque(type):
        @property
        def __module__(cls) -> str:
            raise RuntimeError("11")

    class Agent(metaclass=Opaque):
        def plan(self) -> int:
            return 13

    before = dict(vars(desk))
    installation = install([desk, Agent])
    assert (installation.hooked, installation.hooks) == ((), frozenset())
    assert installation.skipped == (Skipped("list", "*", "nothing is hooked: RuntimeError"),)
    assert all(vars(desk)[name] is value for name, value in before.items())


def test_a_function_that_cannot_be_hooked_is_skipped_and_the_others_are_hooked(hook):
    class Picky(type):
        def __setattr__(cls, name: str, value: object) -> None:
            if name == "plan":
                raise TypeError("frozen")
            super().__setattr__(name, value)

    class Agent(metaclass=Picky):
        def plan(self) -> int:
            return 13

        def route(self) -> int:
            return 17

    installation = hook(Agent)
    assert [hooked.name for hooked in installation.hooked] == ["route"]
    assert [(skipped.name, skipped.reason) for skipped in installation.skipped] == [
        ("plan", "cannot be replaced: TypeError")
    ]


def test_modules_are_neither_loaded_nor_asked_when_imported_names_are_replaced(hook, monkeypatch, tmp_path):
    class Asked(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise ImportError(name)

    ran = tmp_path / "ran"
    source = tmp_path / "heavy_thing.py"
    source.write_text(f"import pathlib; pathlib.Path({str(ran)!r}).touch()")
    spec = importlib.util.spec_from_file_location("heavy_thing", source)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    lazy = importlib.util.module_from_spec(spec)
    for name, module in (("heavy_thing", lazy), ("asked_thing", Asked("asked_thing")), ("absent_thing", None)):
        monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(lazy)
    assert hook(desk).skipped == ()
    assert front.handle is desk.handle
    assert not ran.exists()


def test_lazy_and_dead_values_in_a_module_are_not_asked_what_they_are(hook):
    class Lazy:
        asked: ClassVar[list[str]] = []

        @property
        def __class__(self) -> type:
            self.asked.append("class")
            raise RuntimeError("outside of a request")

    module = ModuleType("agent_of_globals")
    module.__file__ = desk.__file__
    exec("def plan(): return 13", vars(module))  # noqa: S102 - a function whose module it is
    vars(module).update({"request": Lazy(), "route": Lazy(), "gone": weakref.proxy(Lazy())})
    assert [hooked.name for hooked in hook(module).hooked] == ["plan"]
    assert Lazy.asked == []


@pytest.mark.parametrize("target", ["desk", 13, None, {"a": desk}, desk.handle])
def test_what_holds_no_agent_is_refused_in_a_sentence(target):
    with pytest.raises(
        UsageError, match="which holds no agent; give it a module, a class, an instance or a list of them"
    ):
        install(target)


def test_semaphores_are_replaced_and_restored(hook):
    class Agent:
        gate = threading.BoundedSemaphore(3)

        def __init__(self) -> None:
            self.slots = asyncio.Semaphore(2)

        def run_step(self, name: str) -> str:
            with self.gate:
                return name

    agent = Agent()
    before = agent.slots, Agent.gate
    installation = hook(agent)
    assert [(hooked.name, hooked.hook) for hooked in installation.hooked] == [
        ("run_step", "step"),
        ("gate", "limiter"),
        ("slots", "limiter"),
    ]
    assert isinstance(agent.slots, asyncio.Semaphore)
    assert isinstance(Agent.gate, threading.BoundedSemaphore)
    installation.undo()
    assert (agent.slots is before[0], Agent.gate is before[1]) == (True, True)


def test_a_dict_as_a_cache_is_said_to_be_out_of_sight(hook):
    class Agent:
        def __init__(self) -> None:
            self.answer_cache: dict[str, str] = {}

    assert hook(Agent()).skipped == (
        Skipped(
            f"{__name__}.{Agent.__qualname__}",
            "answer_cache",
            "a dict: give it a class of your own with get and set to have it observed",
        ),
    )


def test_our_own_modules_are_never_rebound(hook):
    ours = {name: dict(vars(module)) for name, module in sys.modules.items() if name.startswith("tachograph")}
    hook([desk, kinds])
    for name, names in ours.items():
        assert all(vars(sys.modules[name])[each] is value for each, value in names.items())
