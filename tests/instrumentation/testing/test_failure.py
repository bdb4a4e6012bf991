"""What a failed assertion says: what was looked for, what was seen instead, what to do."""

# ruff: noqa: E501 - sentences are compared whole
from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from inline_snapshot import snapshot

import tachograph
from tachograph.instrument import uninstrument
from tachograph.telemetry.recorder import Recorder
from tachograph.testing import Recorded, recording

if TYPE_CHECKING:
    from collections.abc import Callable

AGENT = """
def handle(text):
    return vet(text) and call_tool("refund", {"amount": 17})

def vet(text):
    return True

def call_tool(tool, arguments):
    return "done"
"""


def refund(amount: int) -> None:
    with tachograph.run(workflow="refund", tier=1):
        with tachograph.checkpoint("amount", stage="pre_tool", tool="refund") as check:
            check.decide("allow" if amount < 100 else "deny", rule="below_100_usd")
        with tachograph.tool("refund", arguments={"amount": amount}, authz="allow"):
            pass


def said(assertion: Callable[[], object]) -> list[str]:
    with pytest.raises(AssertionError) as failed:
        assertion()
    return str(failed.value).splitlines()


def plain_agent() -> ModuleType:
    module = ModuleType("agent_of_a_user")
    exec(AGENT, vars(module))  # noqa: S102 - a module of a user's
    return module


def test_the_nearest_candidates_say_what_is_wrong_with_them():
    with recording() as recorded:
        refund(17)
        with tachograph.checkpoint("pii", stage="post_output"):
            pass
    assert said(lambda: recorded.assert_checkpoint(stage="pre_tool", decision="deny", tool="refund")) == snapshot(
        [
            "assert_checkpoint(stage='pre_tool', decision='deny', tool='refund'): no such checkpoint was recorded.",
            "Recorded instead, the nearest first:",
            "  checkpoint pre_tool amount: decision is 'allow', not 'deny'",
            "    stage='pre_tool', name='amount', rule='below_100_usd', tool='refund', enforcement='code'",
            "  checkpoint post_output pii: stage is 'post_output', not 'pre_tool'; decision is 'allow', not 'deny'; tool is not said, not 'refund'",
            "    name='pii', enforcement='code'",
            "If the agent did right, mend the words of the assertion.",
        ]
    )


def test_more_than_three_are_counted():
    with recording() as recorded:
        for amount in (11, 13, 17, 19, 23):
            refund(amount)
    assert said(lambda: recorded.assert_tool("refund", times=1))[-2:] == snapshot(
        ["  … and 2 more", "If the agent did right, mend the words of the assertion."]
    )
    assert said(lambda: recorded.assert_tool("refund", times=7))[0] == snapshot(
        "assert_tool(name='refund'): 5 recorded, not 7."
    )


def test_a_hook_that_never_ran_is_not_instrumented_and_not_absent():
    with recording() as recorded:
        refund(17)
    assert said(lambda: recorded.assert_approval(tool="refund", status="approved")) == snapshot(
        [
            "assert_approval(tool='refund', status='approved'): no such approval was recorded.",
            "Recorded instead: 1 checkpoint, 1 run, 1 tool.",
            "Not instrumented: the hook 'approval' is not installed and never ran. That is no 'did not happen'.",
            "Say it by hand: with tachograph.approval(…).",
            "Or hook a plain agent with recorded.instrument(agent), by one of the names request_approval, approve, ask_approval, confirm.",
        ]
    )


def test_a_stage_without_a_hook_is_named_where_other_stages_have_one():
    with recording() as recorded:
        refund(17)
    assert said(lambda: recorded.assert_checkpoint(stage="post_output"))[-2:] == snapshot(
        [
            "Not instrumented: the hook 'checkpoint.post_output' is not installed and never ran.",
            "If the agent did right, mend the words of the assertion.",
        ]
    )


def test_a_plain_agent_is_told_which_of_its_functions_was_not_recognised():
    agent = plain_agent()
    with recording() as recorded:
        recorded.instrument(agent)
        agent.handle("refund K13")
        assert said(lambda: recorded.assert_checkpoint(stage="pre_tool")) == snapshot(
            [
                "assert_checkpoint(stage='pre_tool'): no such checkpoint was recorded.",
                "Recorded instead: 1 run, 1 tool, 1 tachograph.audit.recorded.",
                "Not instrumented: the hook 'checkpoint.pre_tool' is not installed and never ran. That is no 'did not happen'.",
                "Hooked: handle as run, call_tool as tool.",
                "Not recognised: vet. If one of them does it: instrument(agent, mapping={'vet': 'validate_tool_call'}).",
            ]
        )
        assert said(recorded.assert_no_checkpoint)[0] == snapshot(
            "assert_no_checkpoint(): whether there was such a checkpoint cannot be told."
        )


def test_a_hook_that_is_installed_and_was_not_reached_did_not_happen():
    agent = plain_agent()
    with recording() as recorded:
        recorded.instrument(agent, mapping={"vet": "validate_request"})
        agent.call_tool("refund", {"amount": 17})
        assert said(lambda: recorded.assert_checkpoint(stage="pre_request")) == snapshot(
            [
                "assert_checkpoint(stage='pre_request'): no such checkpoint was recorded.",
                "Recorded instead: 1 tool, 1 tachograph.audit.recorded.",
                "The hook 'checkpoint.pre_request' is installed and was not reached: the agent took a way without it, or has not left it yet.",
            ]
        )
        recorded.assert_no_checkpoint()


def test_a_word_that_the_registry_does_not_know_is_named_in_what_was_recorded():
    with recording() as recorded:
        with tachograph.checkpoint("amount", stage="pre_tool") as check:
            check.decide("denied")
    assert said(lambda: recorded.assert_checkpoint(decision="deny"))[2] == snapshot(
        "  checkpoint pre_tool amount: decision is 'denied' (no value of the registry), not 'deny'"
    )


def test_failures_of_our_own_are_named(monkeypatch: pytest.MonkeyPatch):
    with recording() as recorded:
        with tachograph.run():
            pass
        monkeypatch.setattr(Recorder, "span", lambda *_, **__: 1 / 0)
        with tachograph.approval("refund"):
            pass
    assert said(recorded.assert_approval)[2] == snapshot(
        "tachograph itself failed in approval (1); the log says where."
    )


def test_instrument_inside_of_a_recording_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    with recording() as recorded:
        tachograph.instrument(metrics="none", endpoint="http://127.0.0.1:9")
        try:
            refund(17)
            inside = said(lambda: recorded.assert_tool("refund"))
        finally:
            uninstrument()
    assert inside == snapshot(
        [
            "assert_tool(name='refund'): no such tool call was recorded.",
            "instrument() was called inside of the recording, so the hooks write to its pipeline since then. Call it before the recording begins, or hook the agent with recorded.instrument(agent).",
        ]
    )
    assert said(lambda: recorded.assert_tool("refund")) == inside


def test_tokens_say_what_each_call_used():
    with recording() as recorded:
        for tokens in (11, 13):
            with tachograph.llm_call("gpt-4o") as call:
                call.usage(input_tokens=tokens, output_tokens=3)
    assert said(lambda: recorded.assert_llm_calls(2, tokens=31)) == snapshot(
        ["assert_llm_calls(tokens=31): 30 were used: chat gpt-4o 11 in + 3 out, chat gpt-4o 13 in + 3 out."]
    )


def test_a_recording_shows_as_what_is_in_it():
    with recording() as recorded:
        assert repr(recorded) == "<nothing recorded>"
        refund(17)
    assert repr(recorded) == "<1 checkpoint, 1 run, 1 tool>"
    assert isinstance(recorded, Recorded)
