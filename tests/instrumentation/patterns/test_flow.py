"""P04 to P10: evidence, budgets, routing, limits, caches, degraded modes and gates, each with its negative."""

from __future__ import annotations

import asyncio

import pytest

import tachograph
from tachograph.testing import recording

TIME = "2026-01-01T00:00:13Z"


def test_evidence_resolves_to_a_call_or_document_of_the_run_with_producer_and_time():
    with recording() as recorded, tachograph.run():
        with tachograph.tool("search") as call:
            call.result(documents=["doc-13"])
        cited = [
            {"source": "tool_call", "ref": call.call_id, "producer": "search", "time": TIME},
            {"source": "document", "ref": "doc-13", "producer": "index", "time": TIME},
            {"source": "document", "ref": "doc-17", "producer": "index", "time": TIME},
            {"source": "tool_call", "ref": call.call_id, "producer": "search"},
            {"source": "none", "producer": "x", "time": TIME},
        ]
        for number, source in enumerate(cited):
            tachograph.evidence(f"claim-{number}", **source)
    resolutions = [event["attributes"]["tachograph.evidence.resolution"] for event in recorded.events()]
    assert resolutions == ["resolved", "resolved", "unresolved", "unresolved", "unresolved"]
    assert recorded.detections() == {"evidence_unresolved": 3}


def test_a_budget_is_ok_warns_at_four_fifths_and_is_hit_at_its_limit():
    with recording() as recorded:
        for used in (0.7, 0.8, 1.0):
            tachograph.budget("cost", limit=1.0, used=used, action="stop" if used == 1 else "none")
        tachograph.budget("turns", limit=0, used=0)
    states = [event["attributes"]["tachograph.budget.state"] for event in recorded.events()]
    assert states == ["ok", "warning", "hit", "hit"]


def test_a_hit_budget_without_an_answer_to_it_is_a_finding():
    with recording() as recorded:
        with tachograph.run():  # the hook is known to be there
            with tachograph.degraded("partial_answer", trigger="budget", disclosed=True):
                pass
        for outcome in ("success", "refused"):
            with tachograph.run() as run:
                tachograph.budget("turns", limit=13, used=13)
                run.outcome(outcome)
        with tachograph.run():
            tachograph.budget("turns", limit=13, used=13)
            with tachograph.degraded("partial_answer", trigger="budget", disclosed=True):
                pass
    assert recorded.detections() == {"budget_no_degraded": 1}


def test_a_route_says_what_it_could_choose_from():
    with recording() as recorded:
        with tachograph.route("intent", method="llm", constrained=True) as choice:
            choice.considered(["billing", "travel"], [0.83, 0.17])
            choice.choose("billing", reason="asked_by_eve@example.com")
        with tachograph.route("intent", method="llm", candidates=["billing"]) as choice:
            choice.choose("billing")
        with tachograph.route("intent") as choice:
            choice.choose("billing")
    assert recorded.spans()[0]["attributes"] == {
        "tachograph.router.name": "intent",
        "tachograph.routing.candidate.count": 2,
        "tachograph.routing.candidates": ["billing", "travel"],
        "tachograph.routing.constraint.applied": True,
        "tachograph.routing.method": "llm",
        "tachograph.routing.outcome": "selected",
        "tachograph.routing.reason": "[email]",
        "tachograph.routing.scores": [0.83, 0.17],
        "tachograph.routing.selected": "billing",
    }
    assert recorded.detections() == {"route_llm_unconstrained": 1, "route_no_candidates": 1}


def test_plan_delegate_and_combine_are_steps_of_the_run():
    with recording() as recorded, tachograph.run():
        with tachograph.plan("trip") as plan:
            plan.subtasks(3)
        with tachograph.delegate("hotels", subtask="s-1"):
            pass
        with tachograph.combine("merge", inputs=3):
            pass
    assert [(span["name"], span["parent"]) for span in recorded.spans()] == [
        ("plan agent", "invoke_agent agent"),
        ("delegate hotels", "invoke_agent agent"),
        ("combine merge", "invoke_agent agent"),
        ("invoke_agent agent", None),
    ]


def test_a_limiter_says_who_waits_who_is_inside_and_who_was_turned_away():
    async def call(semaphore: asyncio.Semaphore) -> None:
        async with tachograph.limiter("search", limit=2) as slot:
            await semaphore.acquire()
            slot.acquired()
            await asyncio.sleep(0)
            semaphore.release()

    async def main() -> None:
        semaphore = asyncio.Semaphore(2)
        await asyncio.gather(*(call(semaphore) for _ in range(3)))

    with recording() as recorded:
        asyncio.run(main())
        with pytest.raises(TimeoutError), tachograph.limiter("search", limit=2):
            raise TimeoutError
    waits = [event["attributes"] for event in recorded.events("tachograph.limiter.wait")]
    assert [wait["tachograph.limiter.outcome"] for wait in waits] == ["acquired"] * 3 + ["timeout"]
    assert [wait["tachograph.limiter.in_use"] for wait in waits] == [0, 1, 2, 0]
    assert recorded.metric("tachograph.limiter.in_use") == 0
    assert recorded.metric("tachograph.limiter.queue") == 0
    assert recorded.metric("tachograph.limiter.limit") == 2


def test_raising_a_saturated_limit_is_a_finding_and_raising_an_idle_one_is_none():
    with recording() as recorded:
        with tachograph.limiter("idle", limit=1) as slot:
            slot.acquired()
        with tachograph.limiter("idle", limit=5):
            pass
        with tachograph.limiter("busy", limit=1) as first:
            first.acquired()
            with tachograph.limiter("busy", limit=1) as second:
                second.rejected()
            with tachograph.limiter("busy", limit=5) as third:
                third.acquired()
    assert recorded.detections() == {"limit_raised_saturated": 1}


def test_a_cache_hit_names_the_tenant_that_wrote_the_entry():
    with recording() as recorded, tachograph.run(tenant="acme"):
        for writer, scope, effect in (
            ("acme", "tenant", "read"),
            ("umbrella", "tenant", "read"),
            ("umbrella", "global", "read"),
            ("acme", "tenant", "write"),
        ):
            with tachograph.cache("faq", scope=scope, key="q-13", parts=("tenant", "question"), effect=effect) as entry:
                entry.hit(tenant=writer, age=17.0, saved=0.013)
        with tachograph.cache("faq", key="q-13", parts=("question",)):
            pass
    assert recorded.values("cache", "tachograph.cache.result") == ["hit", "hit", "hit", "hit", "miss"]
    assert recorded.values("cache", "tachograph.cache.entry.tenant.id") == [
        "acme",
        "umbrella",
        "umbrella",
        "acme",
        None,
    ]
    assert recorded.detections() == {"cache_cross_tenant": 1, "cache_key_no_tenant": 1, "write_cached": 1}


def test_a_degraded_mode_is_entered_and_left_and_silence_is_a_finding():
    with recording() as recorded, tachograph.run() as run:
        with tachograph.degraded("fallback_model", trigger="provider_down", component="gpt-4o"):
            pass
        with tachograph.degraded("no_retrieval", trigger="timeout") as mode:
            mode.disclosed()
    assert [event["name"] for event in recorded.events()] == [
        "tachograph.degradation.entered",
        "tachograph.degradation.exited",
        "tachograph.degradation.entered",
        "tachograph.degradation.exited",
    ]
    assert run.attributes["tachograph.run.outcome"] == "degraded"
    assert recorded.detections() == {"fallback_silent": 1}
    assert recorded.metric("tachograph.degradation.active") == 0


gates = [
    ({"verdict": "pass", "decision": "promote", "samples": 130, "observed": 0.97, "data_age": 60}, {}),
    ({"verdict": "pass", "decision": "promote", "samples": 0, "observed": 0.97}, {"gate_no_data": 1}),
    ({"verdict": "no_data", "decision": "promote"}, {"gate_no_data": 1}),
    ({"verdict": "no_data", "decision": "hold"}, {}),
    ({"verdict": "pass", "decision": "promote", "samples": 13, "observed": 0.9, "data_age": 90_000}, {"gate_stale": 1}),
    ({"verdict": "fail", "decision": "rollback", "samples": 13, "observed": 0.1, "data_age": 90_000}, {}),
]


@pytest.mark.parametrize(("gate", "found"), gates)
def test_a_gate_that_passes_needs_data_and_fresh_data(gate, found):
    with recording() as recorded:
        tachograph.gate("success", **gate)
    assert recorded.detections() == found
    assert recorded.metric("tachograph.gate.decisions", tachograph_gate_verdict=gate["verdict"]) == 1


def test_a_release_is_on_every_span_after_it_was_assigned():
    with recording() as recorded:
        tachograph.release("r-11", track="stable")
        with tachograph.run(), tachograph.turn():
            pass
        with tachograph.run():
            tachograph.release("r-13", track="canary")
            with tachograph.turn():
                tachograph.evaluation("correct", score=0.7, label="pass", suite="golden", case_id="c-1")
    releases = [(span.attributes or {})["tachograph.release.id"] for span in recorded.sdk_spans()]
    assert releases == ["r-11", "r-11", "r-13", "r-13"]
    labels = {"tachograph_release_track": "canary", "gen_ai_evaluation_score_label": "pass"}
    assert recorded.metric("tachograph.evaluation.results", **labels) == 1


def test_who_hands_over_is_the_agent_or_who_was_delegated_to_before():
    with recording("desk") as recorded:
        with tachograph.run("clerk"), tachograph.delegate("billing"):
            with tachograph.delegate("refunds"):
                pass
            with tachograph.delegate("archive", source="auditor"):
                pass
        with tachograph.delegate("person"):
            pass
    hands = [span["attributes"] for span in recorded.spans("delegate")]
    assert [(hand["tachograph.delegation.from"], hand["tachograph.routing.selected"]) for hand in hands] == [
        ("billing", "refunds"),
        ("auditor", "archive"),
        ("clerk", "billing"),
        ("desk", "person"),
    ]


@pytest.mark.parametrize(
    ("kind", "scope", "action", "reason"),
    [
        ("turns", "run", "stop", "max_turns"),
        ("tool_calls", "run", "degrade", "max_tool_calls"),
        ("cost", "tenant", "escalate", "cost_budget"),
        ("output_tokens", "session", "stop", "token_budget"),
        ("wall_time", "run", "stop", "timeout"),
        ("retries", "run", "stop", "retry_exhausted"),
        ("turns", "run", "continue", "completed"),
        ("retries", "tool", "stop", "completed"),
    ],
)
def test_a_budget_that_ended_a_run_is_its_stop_reason(kind, scope, action, reason):
    with recording() as recorded:
        with tachograph.run():
            tachograph.budget(kind, limit=13, used=11, scope=scope, action=action)
            tachograph.budget(kind, limit=13, used=13, scope=scope, action=action)
        with tachograph.run() as run:
            tachograph.budget(kind, limit=13, used=13, scope=scope, action=action)
            run.outcome("refused", "guardrail")
    assert recorded.values("run", "tachograph.run.stop_reason") == [reason, "guardrail"]


def test_a_budget_that_is_passed_by_is_on_record_once_a_run():
    with recording() as recorded, tachograph.run():
        for used in (11, 13, 17):
            tachograph.budget("turns", limit=13, used=used, action="continue")
        tachograph.budget("cost", limit=13, used=17, action="stop")
    (entry,) = recorded.events("tachograph.audit.recorded")
    assert entry["attributes"]["tachograph.audit.action"] == "override"
    assert entry["attributes"]["tachograph.budget.type"] == "turns"
    assert entry["attributes"]["tachograph.budget.limit"] == 13.0


def test_calls_say_in_which_state_they_met_their_circuit_breaker():
    with recording() as recorded:
        with tachograph.tool("lookup") as call:
            call.circuit("open")
            call.outcome("not_executed")
        with tachograph.llm_call("gpt-4o") as call:
            call.circuit("half_open")
    assert recorded.values("tool", "tachograph.circuit.state") == ["open"]
    assert recorded.values("llm", "tachograph.circuit.state") == ["half_open"]


def test_a_timeout_that_is_said_is_an_error():
    with recording() as recorded:
        with tachograph.tool("lookup") as call:
            call.outcome("timeout")
        with tachograph.llm_call("gpt-4o") as call:
            call.outcome("timeout")
    assert [(span["attributes"]["error.type"], span["status"]) for span in recorded.spans()] == [
        ("timeout", "ERROR"),
        ("timeout", "ERROR"),
    ]


def test_what_a_tool_costs_counts_as_cost_of_the_run():
    with recording() as recorded, tachograph.run() as run, tachograph.tool("search") as call:
        call.cost(0.017)
        assert run.context.cost == 0
    assert run.context.cost == 0.017
    assert recorded.values("tool", "tachograph.cost.amount") == [0.017]
    assert recorded.metric("tachograph.cost", tachograph_cost_source="provider") == 0.017
