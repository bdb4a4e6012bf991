"""Requests for approval with who decided what; the agent's own audit entries."""

from __future__ import annotations

from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from inline_snapshot import snapshot

import tachograph
from tachograph.registry import names as n


class Clerk:
    TOOLS = MappingProxyType({"wipe": {"effect": "irreversible", "tier": 2}})

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def request_approval(self, tool: str, args: Any, approver: str | None = None, diff: str | None = None) -> Any:
        return self.answer

    def confirm(self, question: str) -> Any:
        return self.answer

    def call_tool(self, tool: str, args: Any, effect: str = "write", inside: Any = None) -> Any:
        return inside() if inside else {}


@pytest.mark.parametrize("name", ["request_approval", "approve", "ask_approval", "confirm"])
def test_each_name_is_a_request_for_approval(name, hook, recorded):
    class Agent:
        def check_with(self, tool: str, arguments: Any, tier: int, preview: str, approver: str) -> bool:
            return True

    hook(Agent, {"check_with": name})
    Agent().check_with("refund", {"amount": 13}, 2, "content", "eve")
    assert recorded.spans() == snapshot(
        [
            {
                "name": "approval refund",
                "kind": "approval",
                "parent": None,
                "attributes": {
                    "gen_ai.tool.name": "refund",
                    "tachograph.tool.tier": 2,
                    "tachograph.approval.mode": "dual",
                    "tachograph.approval.diff.presented": True,
                    "tachograph.approval.id": "approval_019b76daabe800000000000000010001",
                    "tachograph.tool.arguments.hash": "b963514b08b1cc9a",
                    "tachograph.approval.diff.hash": "ed7002b439e9ac84",
                    "tachograph.approval.status": "approved",
                    "tachograph.approval.approver.hash": "85262adf74518bbb",
                    "tachograph.approval.approvers": ["85262adf74518bbb"],
                    "tachograph.approval.wait": 1.0,
                    "tachograph.audit.id": "audit_0000000000000002",
                },
                "status": "UNSET",
            }
        ]
    )
    assert [event["name"] for event in recorded.events()] == ["tachograph.audit.recorded"]


@pytest.mark.parametrize(
    ("answer", "status", "people"),
    [
        (True, "approved", 1),
        (False, "rejected", 0),
        (None, "pending", 0),
        (SimpleNamespace(approved=True, by="eve"), "approved", 1),
        (SimpleNamespace(approved=False), "rejected", 0),
        ({"approved": True, "approvers": ["eve", {"id": "bob"}, "eve"]}, "approved", 2),
        ({"status": "expired"}, "expired", 0),
        ((True, "eve"), "approved", 1),
        ("content", "pending", 0),
    ],
)
def test_the_result_says_what_became_of_it(answer, status, people, hook, recorded):
    hook(Clerk)
    assert Clerk(answer).request_approval("refund", {"amount": 13}) is answer
    assert recorded.values("approval", n.APPROVAL_STATUS) == [status]
    assert len(recorded.values("approval", n.APPROVAL_APPROVERS)[0] or ()) == people


def test_a_diff_was_shown_or_not_or_nobody_knows(hook, recorded):
    hook(Clerk)
    recorded.recorder.cover("approval")
    Clerk(answer=True).request_approval("refund", {}, diff="content")
    Clerk(answer=True).confirm("content")
    assert recorded.detections() == {}
    Clerk(answer=True).request_approval("refund", {})
    assert recorded.detections() == {"approval_no_diff": 1}
    assert recorded.values("approval", n.APPROVAL_DIFF_PRESENTED) == [True, None, False]


def test_an_approval_is_of_the_write_that_follows_or_that_it_is_inside_of(hook, recorded):
    for covered in hook(Clerk).hooks:
        recorded.recorder.cover(covered)
    clerk = Clerk({"approved": True, "by": "eve"})
    args = {"amount": 13}
    with tachograph.run():
        clerk.request_approval("refund", args)
        clerk.call_tool("refund", args)
        clerk.confirm("content")
        clerk.call_tool("refund", args)
        clerk.call_tool("refund", args, inside=lambda: clerk.request_approval("refund", args, diff="content"))
        clerk.call_tool("refund", args, inside=lambda: clerk.confirm("content"))
        assert "write_unapproved" not in recorded.detections()
        clerk.call_tool("refund", args)
        assert recorded.detections()["write_unapproved"] == 1
        clerk.request_approval("refund", {"amount": 17})
        clerk.call_tool("refund", args)
    assert recorded.detections()["approval_args_changed"] == 1
    assert recorded.detections()["write_unapproved"] == 1


def test_the_tier_comes_from_the_table(hook, recorded):
    hook(Clerk)
    Clerk().request_approval("wipe", {})
    Clerk().request_approval("refund", {})
    shown = (n.TOOL_TIER, n.APPROVAL_MODE)
    assert [recorded.values("approval", name) for name in shown] == [[2, 1], ["dual", "single"]]


@pytest.mark.parametrize("name", ["record_audit", "write_audit", "audit"])
def test_an_audit_entry_of_the_agents_own_is_on_record_and_a_failed_one_is_not(name, hook, recorded):
    class Agent:
        def note(self, tool: str, call_id: str, entry: str, action: str = "write") -> None:
            if entry == "boom":
                raise OSError(entry)

    assert hook(Agent, {"note": name}).hooks == {"audit"}
    Agent().note("refund", "c-13", "content")
    Agent().note("refund", "c-17", "content", "override")
    with pytest.raises(OSError, match="boom"):
        Agent().note("refund", "c-19", "boom")
    assert recorded.events() == snapshot(
        [
            {
                "name": "tachograph.audit.recorded",
                "attributes": {
                    "gen_ai.tool.name": "refund",
                    "gen_ai.tool.call.id": "c-13",
                    "tachograph.audit.id": "audit_0000000000000001",
                    "tachograph.audit.action": "write",
                },
            },
            {
                "name": "tachograph.audit.recorded",
                "attributes": {
                    "gen_ai.tool.name": "refund",
                    "gen_ai.tool.call.id": "c-17",
                    "tachograph.audit.id": "audit_0000000000000002",
                    "tachograph.audit.action": "override",
                },
            },
        ]
    )
