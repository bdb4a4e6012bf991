"""P03: one span and one count a tool call, with what its contract says."""

from __future__ import annotations

import pytest

import tachograph
from tachograph.telemetry.fingerprint import fingerprint
from tachograph.testing import recording


def test_a_write_is_recorded_whole():
    with (
        recording() as recorded,
        tachograph.run(),
        tachograph.tool(
            "refund", effect="write", tier=2, arguments={"b": 13, "a": 11}, idempotency_key="k-17", timeout=19.0
        ) as call,
    ):
        call.input_valid(True)
        call.authorized(True, role="clerk")
        call.result("four", documents=["doc-1"])
        call.output_valid(True)
    (span,) = recorded.spans("tool")
    assert span["attributes"] == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.call.id": call.call_id,
        "gen_ai.tool.name": "refund",
        "tachograph.actor.role": "clerk",
        "tachograph.tool.arguments.hash": fingerprint({"a": 11, "b": 13}),
        "tachograph.tool.attempt": 1,
        "tachograph.tool.authz": "allow",
        "tachograph.tool.documents": ["doc-1"],
        "tachograph.tool.effect": "write",
        "tachograph.tool.idempotency.key_hash": fingerprint("k-17"),
        "tachograph.tool.idempotency.result": "executed",
        "tachograph.tool.input.result": "valid",
        "tachograph.tool.outcome": "success",
        "tachograph.tool.output.result": "valid",
        "tachograph.tool.result.bytes": 4,
        "tachograph.tool.tier": 2,
        "tachograph.tool.timeout": 19.0,
    }
    assert [event["attributes"]["tachograph.audit.action"] for event in recorded.events()] == ["write"]


outcomes = [
    (TimeoutError, "timeout", None),
    (PermissionError, "denied", "authz"),
    (ValueError, "error", None),
]


@pytest.mark.parametrize(("error", "outcome", "phase"), outcomes)
def test_an_exception_says_how_the_call_ended(error, outcome, phase):
    with recording() as recorded, pytest.raises(error), tachograph.tool("lookup"):
        raise error
    assert recorded.values("tool", "tachograph.tool.outcome") == [outcome]
    assert recorded.metric("tachograph.tool.executions", tachograph_tool_outcome=outcome) == 1
    assert recorded.metric("tachograph.tool.violations", tachograph_tool_contract_phase=phase or "") == (
        1 if phase else 0
    )


def test_invalid_arguments_and_results_are_outcomes_of_their_own():
    with recording() as recorded:
        with tachograph.tool("lookup") as call:
            call.input_valid(False)
        with tachograph.tool("lookup") as call:
            call.output_valid(False)
    assert recorded.values("tool", "tachograph.tool.outcome") == ["invalid_input", "invalid_output"]
    assert recorded.metric("tachograph.tool.violations") == 2


def test_a_tool_that_answers_with_an_error_is_an_error_without_an_exception():
    with recording() as recorded, tachograph.tool("lookup") as call:
        call.outcome("error", error_type="http_503")
    assert recorded.spans("tool")[0]["status"] == "ERROR"
    assert recorded.values("tool", "error.type") == ["http_503"]


def test_a_retry_is_an_event_and_raises_the_attempt_of_the_call():
    with recording() as recorded, tachograph.tool("lookup") as call:
        tachograph.retry(2, backoff=0.5, error=TimeoutError())
    (event,) = recorded.events("tachograph.tool.retry")
    assert event["attributes"] == {
        "error.type": "TimeoutError",
        "gen_ai.tool.call.id": call.call_id,
        "gen_ai.tool.name": "lookup",
        "tachograph.retry.backoff": 0.5,
        "tachograph.tool.attempt": 2,
    }
    assert recorded.values("tool", "tachograph.tool.attempt") == [2]
    assert recorded.metric("tachograph.tool.executions") == 1
    assert recorded.metric("tachograph.tool.retries") == 1


def test_checkpoint_approval_and_call_share_an_id_when_the_agent_names_none():
    with recording() as recorded, tachograph.run():
        for _ in range(2):
            with tachograph.checkpoint("args", stage="pre_tool", tool="refund"):
                pass
            with tachograph.approval("refund") as ask:
                ask.approve("eve")
            with tachograph.tool("refund", effect="write", idempotency_key="k"):
                pass
    ids = [span["attributes"]["gen_ai.tool.call.id"] for span in recorded.spans() if span["kind"] != "run"]
    assert ids[:3] == [ids[0]] * 3
    assert ids[3:] == [ids[3]] * 3
    assert ids[0] != ids[3]


def test_a_denied_check_does_not_lend_its_id_to_the_next_call():
    with recording() as recorded, tachograph.run():
        with tachograph.checkpoint("args", stage="pre_tool", tool="refund") as check:
            check.decide("deny", rule="limit")
        with tachograph.tool("refund"):
            pass
    denied, used = (span["attributes"]["gen_ai.tool.call.id"] for span in recorded.spans() if span["kind"] != "run")
    assert denied != used
    assert recorded.detections() == {"tool_unchecked": 1}


def test_content_of_arguments_and_results_is_not_recorded():
    with recording() as recorded, tachograph.tool("lookup", arguments={"card": "4111 1111 1111 1111"}) as call:
        call.result("4111 1111 1111 1111")
    assert "4111" not in str(recorded.spans())
