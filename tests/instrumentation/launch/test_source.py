"""A module's code has its definitions hooked at once, and is otherwise what it was."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from tachograph import instrument as public
from tachograph.instrument import report, uninstrument
from tachograph.launch.source import adopting

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = '''"""What it is."""
from __future__ import annotations
import asyncio

LIMIT = asyncio.Semaphore(3)

def call_tool(tool: str, args: dict[str, object]):
    return args

class Store:
    def get(self, key):
        return 11

    def helper(self):
        return 13

class Agent:
    def handle(self, request: str):
        return call_tool("look_up", {"request": request})

    def small_talk(self):
        return 17

cache = Store()
early = Agent().handle
answer = Agent().handle("early")
if True:
    @staticmethod
    def vet(request): return True
for _ in range(3):
    def route(text): return text
'''


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    public(None, mapping={"vet": "validate_request"}, metrics="none", endpoint="http://127.0.0.1:9")
    loaded = ModuleType("desk_of_source")
    monkeypatch.setitem(sys.modules, loaded.__name__, loaded)
    exec(adopting(SOURCE, "desk.py"), vars(loaded))  # noqa: S102 - that is the test
    yield loaded
    uninstrument()


@pytest.mark.usefixtures("module")
def test_definitions_are_hooked_where_they_stand():
    now = report()
    assert now is not None
    assert [(hooked.where, hooked.name, hooked.hook, hooked.by) for hooked in now.hooked] == [
        ("desk_of_source", "LIMIT", "limiter", "convention"),
        ("desk_of_source", "call_tool", "tool", "convention"),
        ("desk_of_source.Agent", "handle", "run", "convention"),
        ("desk_of_source.Store", "get", "cache", "convention"),
        ("desk_of_source", "vet", "checkpoint.pre_request", "mapping"),
    ]
    assert now.unrecognised == ("Store.get", "Store.helper", "Agent.small_talk")
    assert {"run", "tool", "cache", "limiter", "checkpoint.pre_request"} <= set(now.hooks)


def test_module_is_otherwise_what_it_was(module: ModuleType):
    plain: dict[str, object] = {"__name__": "plain"}
    exec(compile(SOURCE, "desk.py", "exec", dont_inherit=True), plain)  # noqa: S102 - to compare with
    assert set(plain) == set(vars(module)) - {"__package__", "__loader__", "__spec__"}  # of the module object itself
    assert module.__doc__ == "What it is."
    assert module.call_tool.__wrapped__.__code__.co_firstlineno == 7
    assert module.call_tool.__annotations__ == {"tool": "str", "args": "dict[str, object]"}


def test_uninstrument_restores_what_was_adopted(module: ModuleType):
    hooked = module.call_tool
    original = hooked.__wrapped__
    uninstrument()
    assert (module.call_tool is original, hasattr(module.Agent.handle, "__wrapped__")) == (True, False)


@pytest.mark.parametrize("source", ["def f(:\n", "x = 1\0", "return 13"])
def test_what_cannot_be_compiled_says_what_python_says(source: str):
    with pytest.raises((SyntaxError, ValueError)) as ours:
        adopting(source, "desk.py")
    with pytest.raises(type(ours.value)) as theirs:
        compile(source, "desk.py", "exec")
    assert str(ours.value) == str(theirs.value)
