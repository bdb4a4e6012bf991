"""Validators become checkpoints with the decision that their result says; authorize is of the call it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from inline_snapshot import snapshot

import tachograph
from tachograph.registry import names as n


@dataclass
class Judged:
    ok: bool
    reasons: list[str] = field(default_factory=list)
    rule: str | None = None


class Guarded:
    def __init__(self, answer: object = None) -> None:
        self.answer = answer

    def validate_request(self, text: str) -> object:
        return self.answer

    def validate_tool_call(self, tool: str, args: dict[str, object]) -> object:
        return self.answer

    def validate_tool_result(self, tool: str, result: object) -> object:
        return self.answer

    def validate_tool_output(self, result: object) -> object:
        return self.answer

    def validate_output(self, text: str) -> object:
        return self.answer

    def call_tool(self, tool: str, args: dict[str, object]) -> object:
        return {"tool": tool}


def test_each_validator_is_a_checkpoint_of_its_stage(hook, recorded):
    hook(Guarded)
    agent = Guarded(True)
    agent.validate_request("content")
    agent.validate_tool_call("refund", {"amount": 13})
    agent.validate_tool_result("refund", "content")
    agent.validate_tool_output("content")
    agent.validate_output("content")
    assert recorded.spans() == snapshot(
        [
            {
                "name": "checkpoint pre_request validate_request",
                "kind": "checkpoint",
                "parent": None,
                "attributes": {
                    "tachograph.checkpoint.stage": "pre_request",
                    "tachograph.checkpoint.name": "validate_request",
                    "tachograph.checkpoint.enforcement": "code",
                    "tachograph.checkpoint.decision": "allow",
                },
                "status": "UNSET",
            },
            {
                "name": "checkpoint pre_tool validate_tool_call",
                "kind": "checkpoint",
                "parent": None,
                "attributes": {
                    "tachograph.checkpoint.stage": "pre_tool",
                    "tachograph.checkpoint.name": "validate_tool_call",
                    "tachograph.checkpoint.enforcement": "code",
                    "gen_ai.tool.name": "refund",
                    "tachograph.checkpoint.decision": "allow",
                },
                "status": "UNSET",
            },
            {
                "name": "checkpoint post_tool validate_tool_result",
                "kind": "checkpoint",
                "parent": None,
                "attributes": {
                    "tachograph.checkpoint.stage": "post_tool",
                    "tachograph.checkpoint.name": "validate_tool_result",
                    "tachograph.checkpoint.enforcement": "code",
                    "gen_ai.tool.name": "refund",
                    "tachograph.checkpoint.decision": "allow",
                },
                "status": "UNSET",
            },
            {
                "name": "checkpoint post_tool validate_tool_output",
                "kind": "checkpoint",
                "parent": None,
                "attributes": {
                    "tachograph.checkpoint.stage": "post_tool",
                    "tachograph.checkpoint.name": "validate_tool_output",
                    "tachograph.checkpoint.enforcement": "code",
                    "tachograph.checkpoint.decision": "allow",
                },
                "status": "UNSET",
            },
            {
                "name": "checkpoint post_output validate_output",
                "kind": "checkpoint",
                "parent": None,
                "attributes": {
                    "tachograph.checkpoint.stage": "post_output",
                    "tachograph.checkpoint.name": "validate_output",
                    "tachograph.checkpoint.enforcement": "code",
                    "tachograph.checkpoint.decision": "allow",
                },
                "status": "UNSET",
            },
        ]
    )


@pytest.mark.parametrize(
    ("answer", "decided"),
    [
        (True, ("allow", None, None)),
        (None, ("allow", None, None)),
        (False, ("deny", None, None)),
        ((True, ""), ("allow", None, "")),
        ((False, "too_much"), ("deny", None, "too_much")),
        (Judged(ok=True), ("allow", None, None)),
        (Judged(ok=False, reasons=["card", "email"], rule="pii"), ("deny", "pii", "card")),
        ({"allowed": False, "reason": "late"}, ("deny", None, "late")),
        ({"valid": True}, ("allow", None, None)),
        ({"decision": "escalate", "reason": "ask"}, ("escalate", None, "ask")),
        ("another text", ("modify", None, None)),
        ("the text", ("allow", None, None)),
        (13, ("allow", None, None)),
        (object(), ("allow", None, None)),
    ],
)  # fmt: skip
def test_the_decision_is_what_the_result_says(answer, decided, hook, recorded):
    hook(Guarded)
    assert Guarded(answer).validate_output("the text") is answer
    shown = (n.CHECKPOINT_DECISION, n.CHECKPOINT_RULE, n.CHECKPOINT_REASON)
    assert tuple(recorded.values("checkpoint", name)[0] for name in shown) == decided


def test_a_validator_that_raises_denies_by_the_exceptions_name(hook, recorded):
    class Agent:
        def validate_request(self, text: str) -> None:
            raise PermissionError("content")

    hook(Agent)
    with pytest.raises(PermissionError):
        Agent().validate_request("content")
    assert recorded.spans() == snapshot(
        [
            {
                "name": "checkpoint pre_request validate_request",
                "kind": "checkpoint",
                "parent": None,
                "attributes": {
                    "tachograph.checkpoint.stage": "pre_request",
                    "tachograph.checkpoint.name": "validate_request",
                    "tachograph.checkpoint.enforcement": "code",
                    "tachograph.checkpoint.decision": "deny",
                    "tachograph.checkpoint.rule": "PermissionError",
                    "error.type": "PermissionError",
                },
                "status": "ERROR",
            }
        ]
    )


def test_none_from_a_validator_that_is_to_return_a_bool_denies(hook, recorded):
    class Agent:
        def validate_request(self, text: str) -> bool:
            return None  # type: ignore[return-value]

        def validate_output(self, text: str) -> None:
            return None

    hook(Agent)
    Agent().validate_request("a")
    Agent().validate_output("a")
    assert recorded.values("checkpoint", n.CHECKPOINT_DECISION) == ["deny", "allow"]


@dataclass
class ToolCall:
    id: str
    name: str
    args: dict[str, object] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("arguments", "tool", "call_id"),
    [
        ({"tool": "refund", "call_id": "c-13"}, "refund", "c-13"),
        ({"tool_name": "refund"}, "refund", None),
        ({"call": ToolCall("c-17", "refund")}, "refund", "c-17"),
        ({"call": {"tool": "refund", "id": "c-11"}}, "refund", "c-11"),
        ({"tool_call": {"id": "c-19", "function": {"name": "refund", "arguments": "{}"}}}, "refund", "c-19"),
        ({"args": {"name": "Ada", "amount": 13}}, None, None),
    ],
)  # fmt: skip
def test_the_tool_of_a_checked_call_is_read_where_it_is_said(arguments, tool, call_id, hook, recorded):
    class Agent:
        def validate_tool_call(self, **about: Any) -> bool:
            return True

    hook(Agent)
    Agent().validate_tool_call(**arguments)
    found = [recorded.values("checkpoint", name) for name in (n.GEN_AI_TOOL_NAME, n.GEN_AI_TOOL_CALL_ID)]
    assert found == [[tool], [call_id]]


class Desk:
    """Checks, authorizes and calls: where and in what order is the test's matter."""

    def validate_tool_call(self, **about: Any) -> bool:
        return True

    def authorize(self, role: str, **about: Any) -> bool:
        return role != "guest"

    def call_tool(self, tool: str, args: dict[str, object], *, inside: Any = None) -> object:
        return inside() if inside is not None else {}


def test_a_call_that_was_checked_before_or_inside_is_no_finding_and_an_unchecked_one_is(hook, recorded):
    for covered in hook(Desk).hooks:
        recorded.recorder.cover(covered)
    agent = Desk()
    with tachograph.run():
        agent.validate_tool_call(tool="lookup", args={})
        agent.call_tool("lookup", {})
        agent.validate_tool_call(args={})  # says not which: the next
        agent.call_tool("lookup", {})
        agent.call_tool("lookup", {}, inside=lambda: agent.validate_tool_call(tool="lookup"))
        agent.call_tool("lookup", {}, inside=lambda: agent.validate_tool_call(args={}))
        assert "tool_unchecked" not in recorded.detections()
        agent.call_tool("lookup", {})
        assert recorded.detections()["tool_unchecked"] == 1


def test_authorize_is_of_the_call_it_happens_in_or_of_the_next_of_its_tool(hook, recorded):
    for covered in hook(Desk).hooks:
        recorded.recorder.cover(covered)
    agent = Desk()
    with tachograph.run():
        agent.authorize("clerk", tool="lookup")
        agent.call_tool("refund", {})  # another tool: not authorized
        agent.call_tool("lookup", {})
        agent.authorize("guest", action="change the booking")
        agent.call_tool("lookup", {})
        agent.call_tool("lookup", {}, inside=lambda: agent.authorize("clerk", tool="lookup"))
        agent.call_tool("lookup", {})
    assert recorded.values("tool", n.TOOL_AUTHZ) == [None, "allow", "deny", "allow", None]
    assert recorded.detections()["authz_skipped"] == 2


def test_authorize_that_raises_permission_error_denies_and_another_error_says_nothing(hook, recorded):
    class Agent(Desk):
        def authorize(self, role: str, **about: Any) -> bool:
            raise PermissionError if role == "guest" else KeyError(role)

    hook(Agent)
    with tachograph.run():
        for role, error in (("guest", PermissionError), ("clerk", KeyError)):
            with pytest.raises(error):
                Agent().authorize(role, tool="lookup")
            Agent().call_tool("lookup", {})
    assert recorded.values("tool", n.TOOL_AUTHZ) == ["deny", None]


def test_a_result_may_be_validated_inside_of_the_call_or_after_it(hook, recorded):
    class Agent:
        def handle(self, *answers: object) -> None:
            for answer in answers:
                self.validate_tool_result("lookup", self.call_tool("lookup", {"answer": answer}))
            self.call_tool("lookup", {"last": True}, inside=True)
            self.call_tool("lookup", {"unvalidated": True})

        def call_tool(self, tool: str, args: dict[str, object], inside: bool = False) -> object:
            if inside:
                self.validate_tool_result(tool, {})
            return args.get("answer")

        def validate_tool_result(self, tool: str, result: object) -> bool:
            return result != "bad"

    for covered in hook(Agent).hooks:
        recorded.recorder.cover(covered)
    Agent().handle("good", "bad")
    shown = (n.TOOL_OUTPUT_RESULT, n.TOOL_OUTCOME)
    calls = list(zip(*(recorded.values("tool", name) for name in shown), strict=True))
    assert calls == [("valid", "success"), ("invalid", "invalid_output"), ("valid", "success"), (None, "success")]
    checked = recorded.values("checkpoint", n.GEN_AI_TOOL_CALL_ID)
    assert checked == recorded.values("tool", n.GEN_AI_TOOL_CALL_ID)[:3]
    assert recorded.detections()["output_unvalidated"] == 1
    seconds = [
        (span.end_time - span.start_time) / 1e9 for span in recorded.sdk_spans() if span.name == "execute_tool lookup"
    ]
    assert seconds[1] == seconds[0], "a call ends when it ended, not when its result was validated"


@dataclass
class Loud:
    """Its comparison is the host's code."""

    text: str

    def __eq__(self, other: object) -> bool:
        raise AssertionError("the host's comparison was asked")

    __hash__ = None


@pytest.mark.parametrize(
    ("given", "returned", "decision"),
    [([Loud("a")], [Loud("a")], "allow"), ([Loud("a")], [Loud("b")], "modify"), ([open], [len], "allow")],
)
def test_what_a_check_changed_is_told_without_comparing_the_hosts_objects(given, returned, decision, hook, recorded):
    hook(Guarded)
    Guarded(returned).validate_request(given)
    assert recorded.values("checkpoint", n.CHECKPOINT_DECISION) == [decision]


def test_a_check_may_say_what_it_removed_and_what_enforces_it(hook, recorded):
    class Agent:
        def handle(self, verdicts: list[object]) -> None:
            for verdict in verdicts:
                self.validate_output(verdict)

        def validate_output(self, verdict: object) -> object:
            return verdict

    hook(Agent)
    Agent().handle(
        [
            {"decision": "redact", "redactions": 3, "categories": ["iban", "card", "the account of Ann", None]},
            {"ok": True, "redactions": ["iban"], "enforcement": "prompt"},
            {"ok": True, "redactions": "many", "enforcement": "hope"},
            {"ok": True, "redactions": True},
        ]
    )
    shown = (n.CHECKPOINT_DECISION, n.REDACTION_COUNT, n.REDACTION_CATEGORIES, n.CHECKPOINT_ENFORCEMENT)
    assert list(zip(*(recorded.values("checkpoint", name) for name in shown), strict=True)) == [
        ("redact", 3, ("card", "iban", "unnamed"), "code"),
        ("allow", 1, None, "prompt"),
        ("allow", None, None, "code"),
        ("allow", None, None, "code"),
    ]
    assert recorded.metric("tachograph.checkpoint.redactions") == 4
