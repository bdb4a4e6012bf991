"""Each assertion in the patterns' words: it holds for what was recorded, and fails for anything else."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import tachograph
from tachograph.errors import UsageError
from tachograph.registry import load
from tachograph.testing import Recorded, recording, subjects
from tachograph.testing.facts import Subject


def everything() -> None:
    """One run with each pattern in it, in odd numbers."""
    arguments = {"amount": 17}
    with tachograph.run(workflow="refund", tier=1, tenant="acme") as run:
        with tachograph.turn(), tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=1711, output_tokens=131)
        with tachograph.checkpoint("amount", stage="pre_tool", tool="refund") as check:
            check.decide("allow", rule="below_100_usd", policy="limits", policy_version="7", score=17)
        with tachograph.approval("refund", tier=2, arguments=arguments) as ask:
            ask.shown("117 USD -> 100 USD")
            ask.approve("clerk-17", role="clerk")
            ask.approve("chief-11", role="supervisor")
        with tachograph.tool(
            "refund", effect="write", tier=2, arguments=arguments, idempotency_key="k13", authz="allow", role="clerk"
        ) as tool:
            tachograph.retry(3, error=TimeoutError())
            tool.input_valid(True)
            tool.circuit("half_open")
            tool.output_valid(True)
        tachograph.evidence(
            "paid", source="tool_call", ref=tool.call_id, producer="refund", time="2026-01-01T00:00:00Z"
        )
        tachograph.budget("cost", limit=0.05, used=0.07, action="degrade")
        with tachograph.route("desk", method="llm", constrained=True, candidates=["refund", "person"]) as route:
            route.choose("refund")
        with tachograph.plan() as plan:
            plan.subtasks(2)
        with tachograph.delegate("refund_agent", subtask="task-7", source="desk"):
            pass
        with tachograph.combine("merge", inputs=2):
            pass
        with tachograph.limiter("models", limit=4) as slot:
            slot.rejected()
        with tachograph.cache("answers", key="k", parts=("tenant", "question")) as cache:
            cache.hit(tenant="acme", age=17.0)
        with tachograph.degraded("no_retrieval", trigger="timeout", component="index", disclosed=True):
            pass
        tachograph.release("airline-13", track="canary")
        run.outcome("degraded", "cost_budget")
    tachograph.evaluation("helpful", score=0.87, label="pass", suite="golden", case_id="case-17")
    tachograph.gate("canary", verdict="pass", decision="promote", samples=1311, observed=0.93)


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    with recording() as recorded:
        everything()
    return recorded


# Assertion, every one of its words with what holds, and one other value for each.
HOLDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "assert_checkpoint": (
        {"stage": "pre_tool", "decision": "allow", "name": "amount", "rule": "below_100_usd", "tool": "refund"}
        | {"enforcement": "code", "policy": "limits", "policy_version": "7", "score": 17.0},
        {"stage": "post_tool", "decision": "deny", "name": "pii", "rule": "other", "tool": "book"}
        | {"enforcement": "model", "redactions": 3, "policy": "other", "policy_version": "8", "score": 18.0},
    ),
    "assert_approval": (
        {"tool": "refund", "status": "approved", "approvers": 2, "diff_shown": True, "tier": 2, "mode": "dual"}
        | {"role": "supervisor"},
        {"tool": "book", "status": "rejected", "approvers": 1, "diff_shown": False, "tier": 1, "mode": "single"}
        | {"role": "clerk"},
    ),
    "assert_audit": (
        {"action": "approval", "tool": "refund", "status": "approved"},
        {"action": "override", "tool": "book", "status": "rejected", "outcome": "error"},
    ),
    "assert_tool": (
        {"name": "refund", "outcome": "success", "effect": "write", "authz": "allow", "tier": 2, "attempt": 3}
        | {"input": "valid", "output": "valid", "idempotency": "executed", "role": "clerk"}
        | {"circuit": "half_open"},
        {"name": "book", "outcome": "error", "effect": "read", "authz": "deny", "tier": 1, "attempt": 1}
        | {"input": "invalid", "output": "invalid", "idempotency": "replayed", "role": "chief"}
        | {"circuit": "open"},
    ),
    "assert_retry": (
        {"tool": "refund", "attempt": 3, "error": "TimeoutError"},
        {"tool": "book", "attempt": 2, "error": "ValueError"},
    ),
    "assert_evidence": (
        {"resolution": "resolved", "claim": "paid", "source": "tool_call", "producer": "refund"},
        {"resolution": "unresolved", "claim": "free", "source": "document", "producer": "book", "ref": "policy-7"},
    ),
    "assert_budget": (
        {"type": "cost", "state": "hit", "action": "degrade", "scope": "run", "limit": 0.05},
        {"type": "turns", "state": "ok", "action": "none", "scope": "tenant", "limit": 0.5},
    ),
    "assert_route": (
        {"router": "desk", "selected": "refund", "candidates": ("person", "refund"), "method": "llm"}
        | {"outcome": "selected", "constrained": True},
        {"router": "front", "selected": "person", "candidates": ["refund"], "method": "rule"}
        | {"outcome": "none", "constrained": False},
    ),
    "assert_plan": ({"subtasks": 2}, {"subtasks": 3}),
    "assert_delegation": (
        {"to": "refund_agent", "source": "desk", "subtask": "task-7"},
        {"to": "clerk", "source": "front", "subtask": "task-8"},
    ),
    "assert_combination": ({"strategy": "merge", "inputs": 2}, {"strategy": "vote", "inputs": 3}),
    "assert_limiter": (
        {"name": "models", "outcome": "rejected", "limit": 4, "in_use": 0, "queue": 0},
        {"name": "tools", "outcome": "acquired", "limit": 5, "in_use": 1, "queue": 1},
    ),
    "assert_cache": (
        {"name": "answers", "result": "hit", "scope": "tenant", "operation": "lookup", "writer": "acme"}
        | {"parts": ["question", "tenant"]},
        {"name": "plans", "result": "miss", "scope": "user", "operation": "store", "writer": "globex"}
        | {"parts": ["question"]},
    ),
    "assert_degraded": (
        {"mode": "no_retrieval", "trigger": "timeout", "component": "index", "disclosed": True},
        {"mode": "refuse", "trigger": "budget", "component": "model", "disclosed": False},
    ),
    "assert_release": ({"id": "airline-13", "track": "canary"}, {"id": "airline-12", "track": "stable"}),
    "assert_evaluation": (
        {"name": "helpful", "label": "pass", "score": 0.87, "suite": "golden", "case_id": "case-17"},
        {"name": "polite", "label": "fail", "score": 0.5, "suite": "live", "case_id": "case-18"},
    ),
    "assert_gate": (
        {"name": "canary", "verdict": "pass", "decision": "promote", "samples": 1311},
        {"name": "golden", "verdict": "fail", "decision": "hold", "samples": 0},
    ),
    "assert_run": (
        {"outcome": "degraded", "stop_reason": "cost_budget", "tier": 2, "workflow": "refund", "tenant": "acme"}
        | {"turns": 1, "suspended": False},
        {"outcome": "success", "stop_reason": "completed", "tier": 1, "workflow": "book", "tenant": "globex"}
        | {"turns": 3, "suspended": True},
    ),
    "assert_llm_calls": (
        {"count": 1, "tokens": 1842, "model": "gpt-4o", "provider": "openai", "outcome": "success"},
        {"count": 2, "tokens": 1711, "model": "o3", "provider": "azure", "outcome": "error"},
    ),
}
WORDS = [(assertion, word) for assertion, (_, others) in HOLDS.items() for word in others]


@pytest.mark.parametrize("assertion", HOLDS)
def test_an_assertion_holds_for_what_was_recorded_and_gives_it(assertion: str, recorded: Recorded):
    words, others = HOLDS[assertion]
    found = getattr(recorded, assertion)(**words)
    assert len(found) == 1
    parameters = set(inspect.signature(getattr(Recorded, assertion)).parameters) - {"self", "times"}
    assert parameters == set(others)


@pytest.mark.parametrize(("assertion", "word"), WORDS)
def test_an_assertion_fails_for_one_word_that_is_another(assertion: str, word: str, recorded: Recorded):
    words, others = HOLDS[assertion]
    with pytest.raises(AssertionError) as failed:
        getattr(recorded, assertion)(**words | {word: others[word]})
    assert f"{word}={others[word]!r}" in str(failed.value) or word == "count"


@pytest.mark.parametrize("assertion", [assertion for assertion in HOLDS if assertion != "assert_llm_calls"])
def test_times_are_exactly_so_many(assertion: str, recorded: Recorded):
    words, _ = HOLDS[assertion]
    getattr(recorded, assertion)(**words, times=1)
    for times in (0, 2):
        with pytest.raises(AssertionError, match=f"{assertion}\\("):
            getattr(recorded, assertion)(**words, times=times)


def test_every_closed_word_refuses_what_the_registry_does_not_know_and_says_what_was_meant(recorded: Recorded):
    closed = 0
    for assertion, (words, _) in HOLDS.items():
        for word, value in words.items():
            if isinstance(value, str) and _is_closed(assertion, word):
                closed += 1
                with pytest.raises(UsageError, match=f"did you mean '{value}'"):
                    getattr(recorded, assertion)(**{word: f"{value}_"})
    assert closed > 25


def _is_closed(assertion: str, word: str) -> bool:
    with recording() as nothing, pytest.raises((UsageError, AssertionError)) as failed:
        getattr(nothing, assertion)(**{word: "no such value"})
    return failed.type is UsageError


def test_a_value_of_another_type_never_matches_and_says_so(recorded: Recorded):
    with pytest.raises(UsageError, match=r"tier='1' can never match: tachograph.tool.tier is of type int"):
        recorded.assert_tool("refund", tier="1")  # pyright: ignore[reportArgumentType] - that is the test
    with pytest.raises(UsageError, match="diff_shown='yes' can never match"):
        recorded.assert_approval(diff_shown="yes")  # pyright: ignore[reportArgumentType] - that is the test


def test_a_value_may_be_a_matcher(recorded: Recorded):
    (found,) = recorded.assert_evaluation("helpful", score=pytest.approx(0.9, abs=0.05))  # pyright: ignore[reportArgumentType] - a matcher
    assert found["gen_ai.evaluation.score.value"] == 0.87


MISTYPED = {
    "metric": (lambda read: read.metric("tachograph.tool.execution"), "did you mean 'tachograph.tool.executions'"),
    "label": (
        lambda read: read.metric("tachograph.tool.executions", tachograph_tool_outcom="success"),
        "tachograph.tool.executions has no 'tachograph_tool_outcom'; did you mean 'tachograph_tool_outcome'",
    ),
    "label of another metric": (
        lambda read: read.metric("tachograph.tool.executions", tachograph_run_outcome="success"),
        "tachograph.tool.executions has no 'tachograph_run_outcome'",
    ),
    "series": (lambda read: read.series("tachograph.run"), "did you mean 'tachograph.runs'"),
    "kind": (lambda read: read.spans("tools"), "no 'tools'; did you mean 'tool'"),
    "event": (lambda read: read.events("tachograph.audit.record"), "did you mean 'tachograph.audit.recorded'"),
}


@pytest.mark.parametrize(("read", "sentence"), MISTYPED.values(), ids=MISTYPED)
def test_what_is_read_under_a_mistyped_name_is_refused_and_not_nothing(recorded: Recorded, read: Any, sentence: str):
    with pytest.raises(UsageError, match=re.escape(sentence)) as refused:
        read(recorded)
    ours = [frame for frame in refused.traceback if "tachograph/testing" in str(frame.path)]
    assert [frame.frame.f_locals.get("__tracebackhide__") for frame in ours] == [True] * len(ours)
    assert ours


def test_names_of_the_application_are_its_own(recorded: Recorded):
    assert recorded.metric("orders", tachograph_colour="red") == 0
    assert (recorded.series("orders"), recorded.events("order.placed")) == ({}, [])
    assert recorded.metric("tachograph.tool.executions", gen_ai_tool_name="refund") == 1


def test_anything_of_the_registry_can_be_asked_for(recorded: Recorded):
    (found,) = recorded.assert_recorded("tool", {"tachograph.tool.idempotency.result": "executed"}, times=1)
    assert (found.name, found["tachograph.tool.tier"], found["tachograph.tool.timeout"]) == (
        "execute_tool refund",
        2,
        None,
    )
    recorded.assert_recorded("tachograph.gate.decided", {"tachograph.gate.observed": 0.93})
    with pytest.raises(AssertionError, match=r"tachograph.gate.observed is 0.93, not 0.5"):
        recorded.assert_recorded("tachograph.gate.decided", {"tachograph.gate.observed": 0.5})
    with pytest.raises(UsageError, match="no 'tools'; did you mean 'tool'"):
        recorded.assert_recorded("tools")
    with pytest.raises(UsageError, match=r"did you mean 'tachograph.tool.tier'"):
        recorded.assert_recorded("tool", {"tachograph.tool.tiers": 2})


def test_every_span_kind_and_event_of_a_pattern_has_an_assertion():
    asked = {subject.source for subject in vars(subjects).values() if isinstance(subject, Subject)}
    registry = load()
    known = {kind for kind, span in registry.spans.items() if span.pattern != "run"} | set(registry.events)
    # a turn is counted in the run; how a stay ended is among the facts of its beginning; wire spans are a client's
    assert known - asked == {"turn", "wire", "tachograph.degradation.exited"}


# -- that it did not happen
def test_a_tool_that_was_only_denied_was_not_called():
    with recording() as recorded, tachograph.run():
        with tachograph.tool("refund") as call:
            call.authorized(False)
        recorded.assert_not_called("refund")
        with tachograph.tool("refund"):
            pass
        with pytest.raises(AssertionError, match="1 recorded, not 0"):
            recorded.assert_not_called("refund")


def test_absence_says_nothing_where_nobody_looked():
    with recording() as recorded:
        for absent in (recorded.assert_no_checkpoint, recorded.assert_not_degraded, recorded.assert_no_detections):
            with pytest.raises(AssertionError, match="nothing"):
                absent()
        with pytest.raises(AssertionError, match="Not instrumented: the hook 'tool'"):
            recorded.assert_not_called("refund")
        with tachograph.run():
            pass
        recorded.assert_not_called("refund")
        recorded.assert_no_checkpoint(decision="error")
        recorded.assert_not_degraded()
        recorded.assert_no_detections()


# -- what must never happen
def test_detections_are_those_and_no_others():
    with recording() as recorded, tachograph.run():
        with tachograph.degraded("no_retrieval", trigger="timeout"):
            pass
        recorded.assert_detections(fallback_silent=1)
        assert recorded.asserted == {"fallback_silent"}
        with pytest.raises(AssertionError, match="fallback_silent: 1, not 2"):
            recorded.assert_detections(fallback_silent=2)
        with pytest.raises(AssertionError, match=r"fallback_silent: 1, not 0. The agent answered in a degraded mode"):
            recorded.assert_no_detections()
        with pytest.raises(UsageError, match="did you mean 'fallback_silent'"):
            recorded.assert_detections(fallback_silnt=1)


def test_a_rule_by_name_is_clean_only_where_it_could_be_seen():
    with recording() as recorded, tachograph.run():
        with tachograph.degraded("no_retrieval", trigger="timeout", disclosed=True):
            pass
        recorded.assert_no_detections()
        recorded.assert_no_detections("fallback_silent")
        with pytest.raises(AssertionError, match=r"instrumented, without: tool, tool.effect, approval"):
            recorded.assert_no_detections("fallback_silent", "write_unapproved")
        with pytest.raises(AssertionError, match="write_unapproved is not instrumented"):
            recorded.assert_detections(write_unapproved=1)
