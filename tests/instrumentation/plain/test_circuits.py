"""In which state a plain agent's calls meet their circuit breaker, as far as its objects say it."""

from __future__ import annotations

import enum
from types import SimpleNamespace

import pytest

from tachograph.registry import names as n


class State(enum.Enum):
    OPEN = "open"


class CircuitOpenError(Exception):
    pass


class CircuitBreakerError(Exception):
    pass


class BreakerShop(Exception):  # noqa: N818 - not about a breaker at all
    pass


class Named:
    def __init__(self, name: str) -> None:
        self._name = name


class Live:
    """A breaker whose state is computed: reading it would run the agent's code."""

    @property
    def state(self) -> str:
        raise AssertionError


@pytest.mark.parametrize(
    ("held", "state"),
    [
        ({"breaker": {"state": "closed"}}, "closed"),
        ({"breaker": SimpleNamespace(state="HALF-OPEN")}, "half_open"),
        ({"_circuit_breaker": SimpleNamespace(_state=Named("half_open"))}, "half_open"),
        ({"circuit": SimpleNamespace(state=State.OPEN)}, "open"),
        ({"breaker": {"is_open": False}}, "closed"),
        ({"breakers": {"lookup": {"is_open": True}}, "breaker": {"state": "closed"}}, "open"),
        ({"breakers": {"refund": {"state": "open"}}}, None),
        ({"breakers": {"refund": {"state": "open"}}, "breaker": {"state": "closed"}}, "closed"),
        ({"breaker": {"state": "tripped"}}, None),
        ({"breaker": Live()}, None),
        ({}, None),
    ],
)
def test_the_state_is_what_the_breaker_of_the_tool_says(held, state, hook, recorded):
    class Agent:
        def __init__(self) -> None:
            self.__dict__.update(held)

        def call_tool(self, tool: str) -> None:
            self.breaker = {"state": "open"}  # what a call leads to says nothing of how it was met

    hook(Agent)
    Agent().call_tool("lookup")
    assert recorded.values("tool", n.CIRCUIT_STATE) == [state]


@pytest.mark.parametrize(
    ("error", "state"), [(CircuitOpenError, "open"), (CircuitBreakerError, "open"), (BreakerShop, None)]
)
def test_an_exception_may_say_that_the_circuit_is_open(error, state, hook, recorded):
    class Agent:
        def call_tool(self, tool: str) -> None:
            raise error

        def complete(self, prompt: str) -> None:
            raise error

    hook(Agent)
    for call in (Agent().call_tool, Agent().complete):
        with pytest.raises(error):
            call("lookup")
    assert recorded.values("tool", n.CIRCUIT_STATE) == recorded.values("llm", n.CIRCUIT_STATE) == [state]
    assert recorded.values("tool", n.ERROR_TYPE) == [error.__name__]


def test_a_model_has_the_breaker_of_its_provider(hook, recorded):
    class Client:
        provider = "openai"
        breakers = {"openai": {"state": "half_open"}, "anthropic": {"state": "open"}}  # noqa: RUF012 - as agents write

        def complete(self, prompt: str) -> None:
            pass

    hook(Client)
    Client().complete("hello")
    assert recorded.values("llm", n.CIRCUIT_STATE) == ["half_open"]


def test_a_fallback_while_the_circuit_is_open_says_why(hook, recorded):
    class Agent:
        def call_tool(self, tool: str) -> None:
            raise CircuitOpenError

        def fallback_model(self) -> None:
            pass

    hook(Agent)
    try:
        Agent().call_tool("lookup")
    except CircuitOpenError:
        Agent().fallback_model()
    assert [event["attributes"][n.DEGRADATION_TRIGGER] for event in recorded.events()] == ["circuit_open"] * 2
