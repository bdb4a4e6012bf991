"""A call of call_tool is one tool call, with what its arguments, its table and its result say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import pytest
from inline_snapshot import snapshot
from instrumentation.plain.agents import desk

import tachograph
from tachograph.registry import names as n


class Role(Enum):
    CLERK = "clerk"


@dataclass
class Actor:
    role: Role | str


def test_a_positional_and_a_keyword_key_are_the_same_call(hook, recorded):
    class Agent:
        def call_tool(self, tool, actor, args, idempotency_key=None):
            return "content"

    assert "tool.idempotency" in hook(Agent).hooks
    with tachograph.run():
        Agent().call_tool("refund", Actor(Role.CLERK), {"amount": 13}, "k-17")
        Agent().call_tool(tool="refund", args={"amount": 13}, idempotency_key="k-17", actor="clerk")
    first, second = recorded.spans("tool")
    same = (n.GEN_AI_TOOL_CALL_ID, n.TOOL_IDEMPOTENCY_RESULT)
    assert {**first["attributes"], **dict.fromkeys(same)} == {**second["attributes"], **dict.fromkeys(same)}
    assert first == snapshot(
        {
            "name": "execute_tool refund",
            "kind": "tool",
            "parent": "invoke_agent desk",
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "refund",
                "tachograph.tool.effect": "write",
                "tachograph.tool.tier": 1,
                "tachograph.tool.attempt": 1,
                "tachograph.actor.role": "clerk",
                "gen_ai.tool.call.id": "call_0000000000000002",
                "tachograph.tool.arguments.hash": "b963514b08b1cc9a",
                "tachograph.tool.idempotency.key_hash": "369a8a2236855b06",
                "tachograph.tool.result.bytes": 7,
                "tachograph.tool.outcome": "success",
                "tachograph.tool.idempotency.result": "executed",
            },
            "status": "UNSET",
        }
    )


@pytest.mark.parametrize("name", ["call_tool", "execute_tool", "run_tool", "use_tool"])
def test_each_name_is_a_tool_call(name, hook, recorded):
    class Agent:
        def act(self, tool: str) -> str:
            return tool

    hook(Agent, {"act": name})
    Agent().act("lookup")
    assert recorded.spans() == snapshot(
        [
            {
                "name": "execute_tool lookup",
                "kind": "tool",
                "parent": None,
                "attributes": {
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": "lookup",
                    "tachograph.tool.effect": "read",
                    "tachograph.tool.tier": 0,
                    "tachograph.tool.attempt": 1,
                    "gen_ai.tool.call.id": "call_0000000000000001",
                    "tachograph.tool.arguments.hash": "44136fa355b3678a",
                    "tachograph.tool.result.bytes": 6,
                    "tachograph.tool.outcome": "success",
                },
                "status": "UNSET",
            }
        ]
    )


def test_a_tool_function_without_a_place_for_a_key_leaves_keys_not_instrumented(hook, recorded):
    class Agent:
        def call_tool(self, tool: str, args: dict[str, object], effect: str = "read") -> str:
            return tool

    class Keyed:
        def call_tool(self, tool: str, effect: str, *, idempotency_key: str | None = None) -> str:
            return tool

    assert "tool.idempotency" not in hook(Agent).hooks
    Agent().call_tool("refund", {}, "write")
    assert "tool.idempotency" not in recorded.recorder.hooks("desk")
    assert "write_no_key" not in recorded.detections()
    hook(Keyed)
    Keyed().call_tool("refund", "write")
    assert recorded.detections()["write_no_key"] == 1


def test_effect_and_tier_come_from_the_table_then_the_arguments_then_the_key(hook, recorded):
    @dataclass
    class Tool:
        name: str
        effect: str = "none"
        tier: int = 0

    class Agent:
        tools = MappingProxyType({"by_table": Tool("x", "irreversible", 2), "by_flag": {"read_only": False}})

        def call_tool(
            self, tool: object, idempotency_key: str | None = None, effect: str | None = None, tier: int | None = None
        ) -> str:
            return "ok"

    hook(Agent)
    agent = Agent()
    agent.call_tool("by_table")
    agent.call_tool("by_flag")
    agent.call_tool(Tool("by_object", "write"))
    agent.call_tool("by_argument", effect="write", tier=2)
    agent.call_tool("by_key", "k-13")
    agent.call_tool("by_nothing", effect="sideways", tier=7)
    shown = (n.GEN_AI_TOOL_NAME, n.TOOL_EFFECT, n.TOOL_TIER)
    assert list(zip(*(recorded.values("tool", name) for name in shown), strict=True)) == [
        ("by_table", "irreversible", 2),
        ("by_flag", "write", 1),
        ("by_object", "write", 0),
        ("by_argument", "write", 2),
        ("by_key", "write", 1),
        ("by_nothing", None, 0),
    ]


def test_a_modules_table_is_read_too(hook, recorded):
    hook(desk)
    desk.call_tool("refund", "clerk", {"amount": 13}, idempotency_key="k")
    desk.call_tool("lookup", "clerk", {"amount": 11})
    shown = (n.TOOL_EFFECT, n.TOOL_TIER)
    assert list(zip(*(recorded.values("tool", name) for name in shown), strict=True)) == [("write", 2), ("read", 0)]


@dataclass
class Result:
    ok: bool = True
    error: object = None


@pytest.mark.parametrize(
    ("ending", "outcome", "error"),
    [
        ({"rows": 13}, "success", None),
        ({"error": None}, "success", None),
        ({"error": ""}, "success", None),
        ({"error": "no such booking"}, "error", "tool_error"),
        ({"error": KeyError("content")}, "error", "KeyError"),
        (Result(), "success", None),
        (Result(ok=False), "error", "tool_error"),
        (Result(error={"code": 17}), "error", "tool_error"),
        ("Error: content", "success", None),
        (PermissionError("content"), "denied", "PermissionError"),
        (TimeoutError("content"), "timeout", "TimeoutError"),
        (LookupError("content"), "error", "LookupError"),
    ],
)
def test_the_outcome_is_what_the_call_says_or_raises(ending, outcome, error, hook, recorded):
    class Agent:
        def call_tool(self, tool: str) -> object:
            if isinstance(ending, Exception):
                raise ending
            return ending

    hook(Agent)
    caught: object = None
    try:
        caught = Agent().call_tool("lookup")
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is to be the same object
        caught = raised
    assert caught is ending
    assert [recorded.values("tool", name) for name in (n.TOOL_OUTCOME, n.ERROR_TYPE)] == [[outcome], [error]]


def test_a_tool_call_that_passes_through_two_functions_is_counted_once(hook, recorded):
    class Agent:
        def call_tool(self, tool: str, args: dict[str, Any]) -> object:
            return self.execute_tool(tool, args)

        def execute_tool(self, tool: str, args: dict[str, Any]) -> object:
            inner = args.get("inner")
            return self.call_tool(inner, {}) if inner else {}

    hook(Agent)
    Agent().call_tool("lookup", {"inner": "price"})
    assert [(span["name"], span["parent"]) for span in recorded.spans()] == [
        ("execute_tool price", "execute_tool lookup"),
        ("execute_tool lookup", None),
    ]


def test_a_body_that_ran_has_executed_its_key_unless_it_says_that_it_replayed(hook, recorded):
    stored = {"booking": 13}
    results = iter([stored, stored, {"booking": 13, "replayed": True}, {"booking": 13}])

    class Agent:
        def call_tool(self, tool: str, *, idempotency_key: str) -> object:
            return next(results)

    for covered in hook(Agent).hooks:
        recorded.recorder.cover(covered)
    with tachograph.run(tenant="acme"):
        for _ in range(4):
            Agent().call_tool("book", idempotency_key="k-plain")
    assert recorded.values("tool", n.TOOL_IDEMPOTENCY_RESULT) == ["executed", "executed", "replayed", "executed"]
    assert recorded.detections()["key_executed_twice"] == 2


def test_a_tool_by_free_text_is_unnamed_and_its_contract_is_found(hook, recorded):
    class Agent:
        tools: ClassVar[dict[str, Any]] = {"mail ann@example.com": {"effect": "irreversible"}}

        def call_tool(self, tool: str) -> str:
            return tool

        def confirm(self, action: str) -> bool:
            return True

    hook(Agent)
    with tachograph.run():
        assert Agent().confirm(action="Refund 13 to ann@example.com")
        Agent().call_tool("mail ann@example.com")
    shown = (n.GEN_AI_TOOL_NAME, n.TOOL_EFFECT)
    assert [recorded.values("tool", name) for name in shown] == [["unnamed"], ["irreversible"]]
    assert recorded.values("approval", n.GEN_AI_TOOL_NAME) == ["unnamed"]


def test_a_call_that_ends_after_its_run_ends_at_once(hook, recorded):
    class Agent:
        async def handle(self, request: str) -> asyncio.Task[str]:
            return asyncio.create_task(self.later())

        async def later(self) -> str:
            await asyncio.sleep(0)
            return await self.call_tool("refund", idempotency_key="k-13")

        async def call_tool(self, tool: str, idempotency_key: str) -> str:
            return tool

        def validate_tool_result(self, tool: str, result: str) -> bool:
            return True

    async def main() -> str:
        return await (await Agent().handle("content"))

    hook(Agent)
    assert asyncio.run(main()) == "refund"
    assert [span["name"] for span in recorded.spans()] == ["invoke_agent desk", "execute_tool refund"]
    assert recorded.metric("tachograph.tool.executions") == 1


def test_the_agents_own_call_id_is_the_calls_id_and_joins_what_was_checked_without_one(hook, recorded):
    class Agent:
        def validate_tool_call(self, tool: str) -> bool:
            return True

        def call_tool(self, tool: str, call_id: str) -> str:
            return tool

    for covered in hook(Agent).hooks:
        recorded.recorder.cover(covered)
    with tachograph.run():
        Agent().validate_tool_call("lookup")
        Agent().call_tool("lookup", "c-13")
        assert "tool_unchecked" not in recorded.detections()
        Agent().call_tool("lookup", "c-17")
    assert recorded.values("tool", n.GEN_AI_TOOL_CALL_ID) == ["c-13", "c-17"]
    assert recorded.detections()["tool_unchecked"] == 1


def test_arguments_that_differ_have_other_hashes_and_those_that_cannot_be_read_have_none(hook, recorded):
    class Agent:
        def call_tool(self, tool: object, *rest: object, **args: object) -> str:
            return "content"

    hook(Agent)
    different = (
        date(2026, 1, 11),
        date(2026, 1, 13),
        b"a",
        b"b",
        Decimal("1.1"),
        Decimal("1.3"),
        Role.CLERK,
        "clerk",
        17,
    )
    for value in different:
        Agent().call_tool("lookup", value=value)
    Agent().call_tool("lookup", 17)
    Agent().call_tool("lookup")
    assert len(set(recorded.values("tool", n.TOOL_ARGUMENTS_HASH))) == len(different) + 2
    Agent().call_tool(SimpleNamespace(name="lookup"))
    assert recorded.values("tool", n.TOOL_ARGUMENTS_HASH)[-1] is None


def test_a_clean_run_of_the_desk_has_no_finding(hook, recorded):
    for covered in hook(desk).hooks:
        recorded.recorder.cover(covered)
    calls = [("refund", {"amount": 11}), ("lookup", {"amount": 404}), ("wipe", {}), ("refund", {"amount": 666})]
    answer = desk.handle(desk.Request("acme", "4111", calls=calls))
    assert answer == "refund done, lookup failed, wipe denied, refund denied for ****"
    assert recorded.detections() == {}
    shown = (n.GEN_AI_TOOL_NAME, n.TOOL_OUTCOME, n.TOOL_OUTPUT_RESULT, n.TOOL_AUTHZ)
    assert list(zip(*(recorded.values("tool", name) for name in shown), strict=True)) == [
        ("refund", "success", "valid", "allow"), ("lookup", "error", "invalid", "allow"),
    ]  # fmt: skip
    assert recorded.values("checkpoint", n.CHECKPOINT_DECISION) == [
        "allow", "allow", "allow", "allow", "deny", "allow", "deny", "modify",
    ]  # fmt: skip


def test_a_call_that_is_denied_inside_of_itself_was_not_executed(hook, recorded):
    class Agent:
        def validate_tool_call(self, tool: str) -> bool:
            return tool != "wipe"

        def call_tool(self, tool: str) -> str:
            return "content" if self.validate_tool_call(tool) else "no"

    for covered in hook(Agent).hooks:
        recorded.recorder.cover(covered)
    with tachograph.run():
        Agent().call_tool("lookup")
        Agent().call_tool("wipe")
        Agent().call_tool("lookup")
    assert recorded.values("tool", n.TOOL_OUTCOME) == ["success", "denied", "success"]
    assert recorded.detections() == {}


def test_content_is_recorded_nowhere(hook, recorded):
    hook(desk)
    private = "4111-content"
    calls = [("refund", {"amount": 11, "card": private}), ("lookup", {"amount": 404, "card": private})]
    desk.handle(desk.Request("acme", private, calls=calls))
    shown = repr(
        [
            (span.name, dict(span.attributes or {}), span.events, span.status.description)
            for span in recorded.sdk_spans()
        ]
    )
    assert len(recorded.sdk_spans()) == 10
    assert private not in shown + repr(recorded.events())


def test_a_further_attempt_is_a_retry(hook, recorded):
    class Agent:
        def handle(self) -> None:
            for attempt in (1, 2, 3):
                self.call_tool("pay", {"amount": 13}, attempt=attempt)

        def call_tool(self, tool: str, args: dict[str, object], *, attempt: int = 1) -> dict[str, object]:
            return {"ok": attempt > 1}

    hook(Agent)
    Agent().handle()
    assert recorded.values("tool", n.TOOL_ATTEMPT) == [1, 2, 3]
    calls = recorded.values("tool", n.GEN_AI_TOOL_CALL_ID)
    assert [event["attributes"] for event in recorded.events(n.EVENT_TOOL_RETRY)] == [
        {n.GEN_AI_TOOL_NAME: "pay", n.GEN_AI_TOOL_CALL_ID: calls[1], n.TOOL_ATTEMPT: 2},
        {n.GEN_AI_TOOL_NAME: "pay", n.GEN_AI_TOOL_CALL_ID: calls[2], n.TOOL_ATTEMPT: 3},
    ]
    assert recorded.metric("tachograph.tool.retries") == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"error": TimeoutError()}, "TimeoutError"),
        ({"error": "upstream timed out"}, "timeout"),
        ({"timed_out": True}, "timeout"),
        ("Tool lookup timed out after 0.5 seconds.", "timeout"),
        ({"error": "no such booking"}, None),
        ({"timed_out": False}, None),
        ("found in time", None),
    ],
)
def test_a_timeout_that_the_tool_kept_to_itself_is_an_error(answer, kind, hook, recorded):
    class Agent:
        def call_tool(self, tool: str, timeout: float = 0.5) -> Any:
            return answer

    hook(Agent)
    assert Agent().call_tool("lookup") is answer
    (call,) = recorded.spans("tool")
    timed_out = call["attributes"][n.TOOL_OUTCOME] == "timeout"
    assert timed_out == (kind is not None)
    if timed_out:
        assert (call["attributes"][n.ERROR_TYPE], call["status"]) == (kind, "ERROR")


@pytest.mark.parametrize("limit", [None, 17.0])
def test_a_text_about_timeouts_is_none_where_the_time_was_not_up(limit, hook, recorded):
    class Agent:
        def call_tool(self, tool: str, timeout: float | None = limit) -> str:
            return "Sessions time out after 13 minutes."

    hook(Agent)
    Agent().call_tool("lookup")
    assert recorded.values("tool", n.TOOL_OUTCOME) == ["success"]


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ({"replayed": True}, "replayed"),
        ({"deduplicated": True}, "replayed"),
        ({"idempotency": "replayed"}, "replayed"),
        ({"idempotency": "in_progress"}, "in_progress"),
        ({"idempotency": "unknown"}, "executed"),
        ({}, "executed"),
    ],
)
def test_what_a_key_led_to_is_what_the_result_says(answer, result, hook, recorded):
    class Agent:
        def call_tool(self, tool: str, idempotency_key: str) -> dict[str, Any]:
            return answer

    hook(Agent)
    Agent().call_tool("refund", "key-13")
    assert recorded.values("tool", n.TOOL_IDEMPOTENCY_RESULT) == [result]


def test_a_further_attempt_says_how_long_it_waited_and_what_for(hook, recorded):
    class Agent:
        def call_tool(self, tool: str, attempt: int, backoff: float, last_error: Exception) -> None:
            pass

    hook(Agent)
    Agent().call_tool("lookup", 3, 0.5, TimeoutError())
    assert [event["attributes"] for event in recorded.events()] == [
        {
            n.GEN_AI_TOOL_NAME: "lookup",
            n.GEN_AI_TOOL_CALL_ID: "call_0000000000000001",
            n.TOOL_ATTEMPT: 3,
            n.RETRY_BACKOFF: 0.5,
            n.ERROR_TYPE: "TimeoutError",
        }
    ]
