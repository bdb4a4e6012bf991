"""Plans, routes, delegations and combinations with what arguments and results say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from inline_snapshot import snapshot

from tachograph.registry import names as n


class Router:
    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def plan(self, goal: str) -> Any:
        return self.answer

    def decompose(self, goal: str) -> Any:
        return self.answer

    def route(self, text: str, candidates: Any = None) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (["a", "b", "c"], 3),
        ((), 0),
        ({"steps": ["a", "b"], "goal": "g"}, 2),
        (SimpleNamespace(steps=[1, 2, 3, 4, 5]), 5),
        ({"goal": "g", "why": "w"}, None),
        ((step for step in "ab"), None),
        ("content", None),
    ],
)
@pytest.mark.parametrize("name", ["plan", "decompose"])
def test_a_plan_has_as_many_subtasks_as_it_returns(name, answer, count, hook, recorded):
    hook(Router)
    getattr(Router(answer), name)("content")
    assert recorded.values("plan", n.PLAN_SUBTASKS) == [count]


def test_a_plan_is_recorded_whole_and_its_iterator_left_unread(hook, recorded):
    steps = iter("ab")
    hook(Router)
    assert list(Router(steps).plan("content")) == ["a", "b"]
    assert recorded.spans() == snapshot(
        [
            {
                "name": "plan desk",
                "kind": "plan",
                "parent": None,
                "attributes": {"gen_ai.operation.name": "plan", "tachograph.step.name": "plan"},
                "status": "UNSET",
            }
        ]
    )


def test_a_route_says_what_was_chosen_from_what(hook, recorded):
    hook(Router)
    Router("refunds").route("content", ["refunds", SimpleNamespace(name="bookings")])
    assert recorded.spans() == snapshot(
        [
            {
                "name": "route route",
                "kind": "route",
                "parent": None,
                "attributes": {
                    "tachograph.router.name": "route",
                    "tachograph.routing.method": "rule",
                    "tachograph.routing.candidates": ["refunds", "bookings"],
                    "tachograph.routing.candidate.count": 2,
                    "tachograph.routing.selected": "refunds",
                    "tachograph.routing.outcome": "selected",
                },
                "status": "UNSET",
            }
        ]
    )


def test_a_result_may_say_all_of_it(hook, recorded):
    hook(Router)
    answer = SimpleNamespace(selected="refunds", candidates=["refunds", "bookings"], scores=[0.7, 0.3], method="llm",
                             constrained=True, reason="refund_named")  # fmt: skip
    Router(answer).route("content")
    assert recorded.spans() == snapshot(
        [
            {
                "name": "route route",
                "kind": "route",
                "parent": None,
                "attributes": {
                    "tachograph.router.name": "route",
                    "tachograph.routing.method": "llm",
                    "tachograph.routing.constraint.applied": True,
                    "tachograph.routing.candidates": ["refunds", "bookings"],
                    "tachograph.routing.candidate.count": 2,
                    "tachograph.routing.scores": [0.7, 0.3],
                    "tachograph.routing.selected": "refunds",
                    "tachograph.routing.reason": "refund_named",
                    "tachograph.routing.outcome": "selected",
                },
                "status": "UNSET",
            }
        ]
    )


def test_candidates_that_are_not_said_are_no_finding_and_an_empty_list_is(hook, recorded):
    hook(Router)
    recorded.recorder.cover("route")
    Router("refunds").route("content")
    Router(None).route("content")
    assert recorded.detections() == {}
    Router(None).route("content", [])
    assert recorded.detections() == {"route_no_candidates": 1}
    shown = (n.ROUTING_SELECTED, n.ROUTING_OUTCOME, n.ROUTING_CANDIDATE_COUNT)
    assert [recorded.values("route", name) for name in shown] == [
        ["refunds", None, None], ["selected", "none", "none"], [None, None, 0],
    ]  # fmt: skip


def test_delegate_and_combine(hook, recorded):
    class Agent:
        def delegate(self, subtask: Any, to: Any = None) -> str:
            return "content"

        def combine(self, results: Any, strategy: str | None = None) -> str:
            return "content"

    hook(Agent)
    Agent().delegate({"id": "s-13", "text": "content"}, to=SimpleNamespace(name="searcher"))
    Agent().delegate("content")
    Agent().combine(["a", "b", "c"], "vote")
    Agent().combine(iter("ab"))
    assert recorded.spans() == snapshot(
        [
            {
                "name": "delegate searcher",
                "kind": "delegate",
                "parent": None,
                "attributes": {
                    "tachograph.routing.selected": "searcher",
                    "tachograph.delegation.from": "desk",
                    "tachograph.subtask.id": "s-13",
                },
                "status": "UNSET",
            },
            {
                "name": "delegate delegate",
                "kind": "delegate",
                "parent": None,
                "attributes": {"tachograph.routing.selected": "delegate", "tachograph.delegation.from": "desk"},
                "status": "UNSET",
            },
            {
                "name": "combine vote",
                "kind": "combine",
                "parent": None,
                "attributes": {"tachograph.combine.strategy": "vote", "tachograph.combine.inputs": 3},
                "status": "UNSET",
            },
            {
                "name": "combine merge",
                "kind": "combine",
                "parent": None,
                "attributes": {"tachograph.combine.strategy": "merge"},
                "status": "UNSET",
            },
        ]
    )


def test_free_text_is_no_name_of_a_route(hook, recorded):
    hook(Router)
    Router("Ann wants her result").route("content", ["billing", "Ann wants her result"])
    shown = (n.ROUTING_SELECTED, n.ROUTING_CANDIDATES)
    assert [recorded.values("route", name) for name in shown] == [["unnamed"], [("billing", "unnamed")]]
