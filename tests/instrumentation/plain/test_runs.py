"""Entries become runs with what their request says; execute and run_step become steps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
from inline_snapshot import snapshot
from instrumentation.plain.agents import desk

import tachograph
from tachograph.patterns.tool import ToolCall
from tachograph.registry import names as n
from tachograph.testing import recording

ENTRIES = (
    "handle", "handle_request", "handle_message", "run", "run_agent", "answer", "respond", "reply", "process_request",
    "ask", "invoke",
)  # fmt: skip


class Tier(Enum):
    WRITE = 1


@dataclass
class Answer:
    text: str
    outcome: str | None = None
    stop_reason: str | None = None


@pytest.mark.parametrize("name", ENTRIES)
def test_each_entry_is_a_run(name, hook, recorded):
    class Agent:
        def serve(self, text: str) -> str:
            return text

    assert [hooked.hook for hooked in hook(Agent, {"serve": name}).hooked] == ["run"]
    assert Agent().serve("hello") == "hello"
    assert [span["name"] for span in recorded.spans()] == ["invoke_agent desk"]


def test_a_request_object_says_for_whom(hook, recorded):
    class Agent:
        def handle(self, request: desk.Request) -> str:
            return request.text

    hook(Agent)
    Agent().handle(desk.Request("acme", "hello", tier=1))
    assert dict(recorded.sdk_spans()[0].attributes or {}) == snapshot(
        {
            "tachograph.span.kind": "run",
            "tachograph.run.id": "run_0000000000000001",
            "gen_ai.agent.name": "desk",
            "tachograph.workflow": "refund",
            "tachograph.tenant.id": "acme",
            "gen_ai.conversation.id": "session-13",
            "gen_ai.operation.name": "invoke_agent",
            "tachograph.run.tier": 1,
            "tachograph.sample.rate": 1.0,
            "tachograph.user.hash": "9da2aeb24657b466",
            "tachograph.run.turns": 0,
            "tachograph.run.hooks": ("run",),
            "tachograph.run.stop_reason": "completed",
            "tachograph.run.outcome": "success",
        }
    )


def test_keyword_arguments_and_dicts_say_for_whom_too(hook, recorded):
    class Agent:
        async def ask(self, question: str, *, tenant_id: str, **more: object) -> str:
            return question

        def reply(self, message: dict[str, object]) -> str:
            return "ok"

    hook(Agent)
    asyncio.run(Agent().ask("content", tenant_id="acme", conversation_id=13, workflow="faq"))
    Agent().reply({"tenant": "bolt", "session_id": "s-17", "risk_tier": 2, "text": "content"})
    shown = (n.TENANT_ID, n.GEN_AI_CONVERSATION_ID, n.WORKFLOW, n.RUN_TIER)
    assert [[(span.attributes or {}).get(name) for name in shown] for span in recorded.sdk_spans()] == [
        ["acme", "13", "faq", 0],
        ["bolt", "s-17", "desk", 2],
    ]


def test_what_a_request_does_not_say_is_not_made_up(hook, recorded):
    class Agent:
        def handle(self, text: str, tier: str = "gold", tenant: object = object()) -> str:
            return text

    hook(Agent)
    Agent().handle("hello")
    found = dict(recorded.sdk_spans()[0].attributes or {})
    assert (found[n.RUN_TIER], n.TENANT_ID in found, n.GEN_AI_CONVERSATION_ID in found, n.USER_HASH in found) == (
        0, False, False, False,
    )  # fmt: skip


def ended(recorded: Any, *names: str) -> list[tuple[object, ...]]:
    return list(zip(*(recorded.values("run", name) for name in names), strict=True))


def test_a_request_says_which_release_serves_it(hook, recorded):
    class Agent:
        def handle(self, request: object) -> None:
            pass

        def ask(self, text: str, *, release: object = None, track: object = None) -> None:
            pass

    hook(Agent)
    for request in (
        {"release": "2.8", "track": "canary"},
        {"release_id": "airline-13", "track": "gold"},
        {"agent_version": 7},
    ):
        Agent().handle(request)
    Agent().ask("content", release="2.7", track="stable")
    Agent().ask("content", release="as Ann wished, release 13", track=13)
    tachograph.release("1.1", track="baseline")
    Agent().ask("content")
    assert ended(recorded, n.RELEASE_ID, n.RELEASE_TRACK) == [
        ("2.8", "canary"), ("airline-13", None), ("7", None), ("2.7", "stable"), ("unnamed", None), ("1.1", "baseline"),
    ]  # fmt: skip


def test_an_object_may_say_which_agent_it_is(hook, recorded):
    class Agent:
        def __init__(self, agent_name: object) -> None:
            self.agent_name = agent_name

        def handle(self, inner: Agent | None) -> None:
            if inner is not None:
                inner.handle(None)

    class Lazy:
        @property
        def agent_name(self) -> str:
            raise AssertionError("the host's code")

        def handle(self) -> None:
            pass

    hook([Agent, Lazy])
    Agent("planner").handle(Agent("worker"))
    Agent("The agent of Ann and 13 others").handle(None)
    Agent(None).handle(None)
    Lazy().handle()
    assert [span["name"] for span in recorded.spans()] == [
        "step handle", "invoke_agent planner", "invoke_agent unnamed", "invoke_agent desk", "invoke_agent desk",
    ]  # fmt: skip
    assert recorded.values("step", n.GEN_AI_AGENT_NAME) == ["planner"]
    assert recorded.recorder.hooks("planner") == ("run",)


def test_a_result_may_say_how_the_run_ended(hook, recorded):
    class Agent:
        def handle(self, answer: Answer) -> Answer:
            return answer

    hook(Agent)
    for answer in (
        Answer("a", "escalated"),
        Answer("b", "failed", "max_turns"),
        Answer("c", "well", "tired"),
        Answer("d"),
    ):
        Agent().handle(answer)
    ends = [recorded.values("run", name) for name in (n.RUN_OUTCOME, n.RUN_STOP_REASON)]
    assert list(zip(*ends, strict=True)) == [
        ("escalated", "completed"), ("failed", "max_turns"), ("success", "completed"), ("success", "completed"),
    ]  # fmt: skip


def test_a_request_that_a_checkpoint_refuses_is_refused_and_another_failure_is_not(hook, recorded):
    hook(desk)
    with pytest.raises(desk.RefusedError):
        desk.handle(desk.Request("acme", "forbidden"))
    with pytest.raises(TypeError):
        desk.handle(desk.Request("acme", "hello", calls=None))  # type: ignore[arg-type]
    ends = [recorded.values("run", name) for name in (n.RUN_OUTCOME, n.RUN_STOP_REASON)]
    assert list(zip(*ends, strict=True)) == [("refused", "guardrail"), ("failed", "error")]


def test_an_entry_inside_of_a_run_is_a_step(hook, recorded):
    class Agent:
        def handle(self, text: str) -> str:
            return self.answer(text)

        def answer(self, text: str) -> str:
            return text

    hook(Agent)
    Agent().handle("hello")
    assert recorded.spans() == snapshot(
        [
            {
                "name": "step answer",
                "kind": "step",
                "parent": "invoke_agent desk",
                "attributes": {"tachograph.step.name": "answer"},
                "status": "UNSET",
            },
            {
                "name": "invoke_agent desk",
                "kind": "run",
                "parent": None,
                "attributes": {
                    "gen_ai.operation.name": "invoke_agent",
                    "tachograph.run.tier": 0,
                    "tachograph.sample.rate": 1.0,
                    "tachograph.run.turns": 0,
                    "tachograph.run.hooks": ["run"],
                    "tachograph.run.stop_reason": "completed",
                    "tachograph.run.outcome": "success",
                },
                "status": "UNSET",
            },
        ]
    )


def test_execute_is_a_run_of_its_own_and_a_step_inside_of_one(hook, recorded):
    class Agent:
        def execute(self, task: str) -> str:
            return task

        def run(self, task: str) -> str:
            return self.execute(task)

    hook(Agent)
    Agent().execute("a")
    Agent().run("b")
    assert [(span["name"], span["parent"]) for span in recorded.spans()] == [
        ("invoke_agent desk", None), ("step execute", "invoke_agent desk"), ("invoke_agent desk", None),
    ]  # fmt: skip


def test_run_step_is_a_step_by_its_name(hook, recorded):
    class Agent:
        def run_step(self, step: object) -> object:
            return step

    hook(Agent)
    Agent().run_step("collect")
    Agent().run_step(object())
    assert recorded.spans() == snapshot(
        [
            {
                "name": "step collect",
                "kind": "step",
                "parent": None,
                "attributes": {"tachograph.step.name": "collect"},
                "status": "UNSET",
            },
            {
                "name": "step run_step",
                "kind": "step",
                "parent": None,
                "attributes": {"tachograph.step.name": "run_step"},
                "status": "UNSET",
            },
        ]
    )
    assert recorded.recorder.hooks("desk") == ("step",)


def test_a_run_opened_by_hand_holds_the_plain_hooks(hook, recorded):
    hook(desk)
    with tachograph.run("other", tenant="bolt"):
        desk.handle(desk.Request("acme", "hello"))
    assert [span["name"] for span in recorded.spans("run")] == ["invoke_agent other"]
    assert set(recorded.values("step", n.TENANT_ID)) == {"bolt"}


def test_a_run_ends_whatever_becomes_of_the_calls_that_wait_for_it(hook, monkeypatch):
    class Agent:
        def handle(self, request: str) -> str:
            return self.call_tool("lookup") + self.call_tool("price")

        def call_tool(self, tool: str) -> str:
            return tool

        def validate_tool_result(self, tool: str, result: str) -> bool:
            return True

    def closed(call: ToolCall, *about: Any) -> None:
        if call.tool == "lookup":
            raise RuntimeError("ours")
        original(call, *about)

    original = ToolCall.closed
    monkeypatch.setattr(ToolCall, "closed", closed)
    hook(Agent)
    with recording("desk") as recorded:
        assert Agent().handle("content") == "lookupprice"
    assert recorded.values("run", n.RUN_OUTCOME) == ["success"]
    assert recorded.values("tool", n.TOOL_OUTCOME) == [None, "success"]
    assert recorded.metric("tachograph.runs") == 1


def test_a_step_by_free_text_is_unnamed(hook, recorded):
    class Agent:
        def run_step(self, step: str) -> None:
            pass

    hook(Agent)
    Agent().run_step("Tell Ann that 13 is positive")
    Agent().run_step("collect.v2:eu/west-1")
    Agent().run_step("x" * 65)
    assert recorded.values("step", n.STEP_NAME) == ["unnamed", "collect.v2:eu/west-1", "unnamed"]
