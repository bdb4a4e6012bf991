"""Budgets are recorded when type, limit and use can be read, and silently left out otherwise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from inline_snapshot import snapshot

from tachograph.registry import names as n


@pytest.mark.parametrize("name", ["check_budget", "charge", "spend"])
def test_each_name_is_a_look_at_a_budget(name, hook, recorded):
    class Agent:
        def look(self, kind: str, used: int, limit: int) -> bool:
            return used < limit

    hook(Agent, {"look": name})
    Agent().look("tool_calls", 11, 13)
    assert recorded.events() == snapshot(
        [
            {
                "name": "tachograph.budget.used",
                "attributes": {
                    "tachograph.budget.type": "tool_calls",
                    "tachograph.budget.scope": "run",
                    "tachograph.budget.limit": 13.0,
                    "tachograph.budget.used": 11.0,
                    "tachograph.budget.state": "warning",
                    "tachograph.budget.action": "none",
                },
            }
        ]
    )


class Budget:
    def __init__(self, kind: str, limit: float) -> None:
        self.type, self.limit, self.spent = kind, limit, 0.0

    def charge(self, amount: float) -> None:
        self.spent += amount
        if self.spent > self.limit:
            raise RuntimeError("content")


def test_a_budget_object_is_read_after_the_charge_and_an_exception_is_a_stop(hook, recorded):
    hook(Budget)
    budget = Budget("cost", 1.3)
    budget.charge(1.1)
    with pytest.raises(RuntimeError):
        budget.charge(1.1)
    shown = (n.BUDGET_USED, n.BUDGET_STATE, n.BUDGET_ACTION)
    assert [tuple(event["attributes"][name] for name in shown) for event in recorded.events()] == [
        (1.1, "warning", "none"), (2.2, "hit", "stop"),
    ]  # fmt: skip


def test_a_result_may_say_it(hook, recorded):
    class Agent:
        def check_budget(self, answer: Any) -> Any:
            return answer

    hook(Agent)
    Agent().check_budget(SimpleNamespace(type="turns", limit=17, used=17, scope="session", action="degrade"))
    shown = (n.BUDGET_TYPE, n.BUDGET_SCOPE, n.BUDGET_LIMIT, n.BUDGET_USED, n.BUDGET_ACTION)
    assert [tuple(event["attributes"][name] for name in shown) for event in recorded.events()] == [
        ("turns", "session", 17.0, 17.0, "degrade"),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        {"limit": 17, "used": 11},
        {"type": "patience", "limit": 17, "used": 11},
        {"type": "turns", "used": 11},
        {"type": "turns", "limit": "17", "used": 11},
        {"type": "turns", "limit": float("inf"), "used": 11},
    ],
)
def test_what_cannot_be_read_is_left_out(answer, hook, recorded):
    class Agent:
        def check_budget(self, answer: Any) -> Any:
            return answer

    hook(Agent)
    Agent().check_budget(answer)
    assert recorded.events() == []
