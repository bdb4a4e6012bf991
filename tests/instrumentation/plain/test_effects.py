"""What a tool's name says of its effect, and a hand-written hook inside of a hooked function."""

from __future__ import annotations

import pytest

import tachograph
from tachograph.plain.effects import effect_of
from tachograph.plain.install import install
from tachograph.testing import recording

NAMES = {
    "refund_order": "write",
    "cancelReservation": "write",
    "get_user_details": "read",
    "search.flights": "read",
    "calculate": "none",
    "weather": None,
    "settle_account": None,  # begins with a verb's letters only
    "": None,
}


@pytest.mark.parametrize(("name", "effect"), NAMES.items())
def test_the_first_word_says_the_effect_or_nothing_does(name, effect):
    assert effect_of(name) == effect


class Desk:
    def call_tool(self, tool: str, args: dict[str, int]) -> int:
        with tachograph.tool(tool, effect="write", tier=2, idempotency_key="k-13") as call:
            call.output_valid(True)
            return args["amount"]


@pytest.fixture
def hooked():
    installation = install(Desk)
    yield installation
    installation.undo()


@pytest.mark.usefixtures("hooked")
def test_a_hand_written_hook_inside_of_the_same_tools_call_is_that_call():
    with recording() as recorded, tachograph.run():
        assert Desk().call_tool("weather", {"amount": 13}) == 13
    (span,) = recorded.spans("tool")
    said = {name: span["attributes"].get(f"tachograph.tool.{name}") for name in ("effect", "tier", "output.result")}
    assert said == {"effect": "write", "tier": 2, "output.result": "valid"}
    assert span["attributes"]["tachograph.tool.idempotency.result"] == "executed"
    assert recorded.metric("tachograph.tool.executions") == 1


@pytest.mark.usefixtures("hooked")
def test_another_tool_inside_of_a_tool_is_another_call():
    with recording() as recorded, tachograph.run(), tachograph.tool("outer"):
        Desk().call_tool("weather", {"amount": 13})
    assert [span["name"] for span in recorded.spans("tool")] == ["execute_tool weather", "execute_tool outer"]


def test_an_unknown_effect_is_unknown_and_no_write_is_called_approved_for_it():
    class Agent:
        def call_tool(self, tool: str, args: dict[str, int]) -> int:
            return args["amount"]

    installation = install(Agent)
    try:
        with recording() as recorded, tachograph.run():
            Agent().call_tool("weather", {"amount": 13})
            assert "tool.effect" not in recorded.recorder.hooks("agent")
            Agent().call_tool("refund", {"amount": 13})
            assert "tool.effect" in recorded.recorder.hooks("agent")
    finally:
        installation.undo()
    assert recorded.values("tool", "tachograph.tool.effect") == [None, "write"]
    assert recorded.values("tool", "tachograph.tool.tier") == [0, 1]


def test_what_the_convention_does_not_know_is_said():
    class Agent:
        def call_tool(self, tool: str) -> None: ...
        def vet(self, text: str) -> None: ...
        def _private(self) -> None: ...

    installation = install(Agent)
    installation.undo()
    assert [name.rpartition(".")[2] for name in installation.unrecognised] == ["vet"]


def test_the_stored_value_is_no_part_of_a_caches_key():
    class FaqCache:
        def __init__(self) -> None:
            self.stored: dict[str, str] = {}

        def get(self, k: str) -> str | None:
            return self.stored.get(k)

        def set(self, k: str, v: str) -> None:
            self.stored[k] = v

    installation = install(FaqCache)
    try:
        with recording() as recorded:
            cache = FaqCache()
            with tachograph.run(tenant="acme"):
                cache.set("question", "answer")
            with tachograph.run(tenant="globex"):
                assert cache.get("question") == "answer"
    finally:
        installation.undo()
    store, lookup = recorded.values("cache", "tachograph.cache.key.hash")
    assert store == lookup
    assert recorded.detections()["cache_cross_tenant"] == 1
