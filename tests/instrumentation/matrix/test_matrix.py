"""What people ask of the ten patterns, each fact as a value that can be queried: attribute, row or metric, no text.

One plain agent, hooked by its names alone; one test a fact.
"""

from __future__ import annotations


def test_p01_guardrail_ran_and_passed(shown):
    assert shown.rows(
        "SELECT stage, name, decision, enforcement, count(*) FROM checkpoints c JOIN runs r USING (run_id)"
        " WHERE stage = 'post_output' AND decision = 'allow' GROUP BY ALL"
    ) == [("post_output", "validate_output", "allow", "code", 2)]
    assert shown.metric("tachograph.checkpoint.decisions", tachograph_checkpoint_stage="pre_request",
                        tachograph_checkpoint_decision="allow") > 0  # fmt: skip


def test_p01_input_guardrail_tripped(shown):
    assert shown.rows(
        "SELECT stage, name, r.outcome, r.stop_reason FROM checkpoints JOIN runs r USING (run_id)"
        " WHERE stage = 'pre_request' AND decision = 'deny'"
    ) == [("pre_request", "validate_request", "refused", "guardrail")]


def test_p01_output_guardrail_tripped(shown):
    denied = {"tachograph_checkpoint_stage": "post_output", "tachograph_checkpoint_decision": "deny"}
    assert shown.rows("SELECT name FROM checkpoints WHERE stage = 'post_output' AND decision = 'deny'") == [
        ("validate_output",)
    ]
    assert shown.metric("tachograph.checkpoint.decisions", **denied) == 1


def test_p01_score_policy_and_rule(shown):
    assert shown.rows(
        "SELECT rule, score, policy, policy_version FROM checkpoints WHERE stage = 'pre_request' AND decision = 'deny'"
    ) == [("injection", 0.97, "conduct", "2026-11")]
    assert shown.rows("SELECT DISTINCT score FROM checkpoints WHERE stage = 'pre_request' AND decision = 'allow'") == [
        (0.03,)
    ]


def test_p01_tool_guardrail_rejected_content(shown):
    assert shown.rows(
        "SELECT t.tool_name, t.outcome, t.output_result, c.decision FROM checkpoints c"
        " JOIN tool_calls t USING (run_id, call_id) WHERE c.stage = 'post_tool' AND c.decision = 'deny'"
    ) == [("lookup", "invalid_output", "invalid", "deny")]
    assert shown.metric("tachograph.tool.violations", tachograph_tool_contract_phase="output") == 1


def test_p02_approval_pending_is_no_tool_call(shown):
    assert shown.rows(
        "SELECT a.status, a.tool_name, r.tool_calls FROM approvals a JOIN runs r USING (run_id)"
        " WHERE a.status = 'pending' AND r.workflow = 'travel'"
    ) == [("pending", "refund", 0)]
    assert shown.rows(
        "SELECT count(*) FROM spans WHERE tachograph_span_kind = 'approval' AND status_code = 'error'"
    ) == [(0,)]


def test_p02_approve_and_reject_with_approver_and_latency(shown):
    assert shown.rows(
        "SELECT status, approver IS NOT NULL, approver_role, diff_presented, wait_s > 0, count(*)"
        " FROM approvals WHERE status <> 'pending' AND workflow = 'travel' GROUP BY ALL ORDER BY status"
    ) == [("approved", True, "clerk", True, True, 1), ("rejected", True, "clerk", True, True, 1)]
    assert shown.metric("tachograph.approval.wait.duration", tachograph_approval_status="rejected") == 1


def test_p02_resumed_run_is_joined_to_the_first(shown):
    """The agent has a function `resume`; both parts read the run's id off the request that it keeps."""
    assert shown.rows(
        "SELECT r.outcome, r.tool_calls, list(a.status ORDER BY a.ts), count(DISTINCT a.trace_id)"
        " FROM runs r JOIN approvals a USING (run_id) WHERE r.workflow = 'approvals' GROUP BY ALL"
    ) == [("success", 1, ["pending", "approved"], 2)]
    assert shown.rows("SELECT count(*), bool_or(status_code = 'error') FROM spans WHERE workflow = 'approvals'") == [
        (8, False)
    ]


def test_p03_tool_args_schema_failure(shown):
    assert shown.rows(
        "SELECT tool_name, outcome, input_result, error_type FROM tool_calls WHERE outcome = 'invalid_input'"
    ) == [("lookup", "invalid_input", "invalid", "TypeError")]
    assert shown.rows("SELECT DISTINCT input_result FROM tool_calls WHERE outcome = 'success'") == [("valid",)]
    assert shown.metric("tachograph.tool.violations", tachograph_tool_contract_phase="input") == 1


def test_p03_tool_timeout_as_an_error(shown):
    """Also one that the tool kept to itself and told as text."""
    assert shown.rows(
        "SELECT t.outcome, t.error_type, t.timeout_s, s.status_code FROM tool_calls t"
        " JOIN spans s USING (trace_id, span_id) WHERE t.tool_name = 'search_policy' ORDER BY t.ts"
    ) == [("timeout", "TimeoutError", 0.5, "error"), ("timeout", "timeout", 0.5, "error")]
    assert shown.metric("tachograph.tool.executions", tachograph_tool_outcome="timeout") == 2


def test_p03_authz_tenant_and_idempotency_key(shown):
    assert shown.rows(
        "SELECT tool_name, authz, tenant, actor_role, length(key_hash), key_result FROM tool_calls"
        " WHERE tool_name = 'refund' AND workflow = 'travel' ORDER BY ts"
    ) == [
        ("refund", "allow", "acme", "clerk", 16, "executed"),
        ("refund", "allow", "acme", "clerk", 16, "replayed"),
    ]


def test_p04_evidence_confidence_and_provenance(shown):
    assert shown.rows(
        "SELECT claim, source_type, source_ref, producer, produced_at, resolution FROM evidence ORDER BY ts"
    ) == [
        ("no_refund", "document", "policy-7", "policy_index", "2026-01-01T00:00:00+00:00", "resolved"),
        ("made_up", "document", "policy-99", "model", "2026-01-01T00:00:00+00:00", "unresolved"),
    ]
    assert shown.rows("SELECT claims, assumptions, confidence FROM runs WHERE claims IS NOT NULL") == [(2, 1, 0.83)]


def test_p05_max_turns_hit(shown):
    assert shown.rows("SELECT outcome, stop_reason, turns FROM runs WHERE outcome = 'failed'") == [
        ("failed", "max_turns", 2)
    ]
    assert shown.metric("tachograph.run.stops", tachograph_run_stop_reason="max_turns") == 2


def test_p05_limit_used_and_kind_of_a_budget(shown):
    assert shown.rows(
        "SELECT budget, limit_value, used, state, action FROM budgets JOIN runs r USING (run_id)"
        " WHERE r.outcome = 'failed' ORDER BY budgets.ts"
    ) == [
        ("turns", 3.0, 1.0, "ok", "none"),
        ("turns", 3.0, 2.0, "ok", "none"),
        ("turns", 3.0, 3.0, "hit", "stop"),
    ]


def test_p05_degraded_answer_after_the_hit(shown):
    assert shown.rows(
        "SELECT r.outcome, r.stop_reason, b.budget, d.mode, d.trigger, d.disclosed"
        " FROM budgets b JOIN degradations d USING (run_id) JOIN runs r USING (run_id)"
        " WHERE b.state = 'hit' AND d.ts > b.ts"
    ) == [("degraded", "max_turns", "turns", "partial_answer", "budget", True)]


def test_p06_handoff_from_and_to(shown):
    assert shown.rows(
        "SELECT attributes['tachograph.delegation.from'], tachograph_routing_selected, count(*) FROM spans"
        " WHERE tachograph_span_kind = 'delegate' GROUP BY ALL ORDER BY 1 DESC"
    ) == [("travel_desk", "billing", 2), ("billing", "refunds", 2)]


def test_p06_router_decision_candidates_and_reason(shown):
    assert shown.rows("SELECT router, method, candidates, scores, selected, outcome, reason FROM routes") == [
        (
            "route",
            "classifier",
            ["billing", "travel", "person"],
            [0.71, 0.17, 0.11],
            "billing",
            "selected",
            "asks_for_money",
        )
    ]


def test_p07_concurrency_queue_wait_and_saturation(shown):
    assert shown.rows("SELECT limit_value, in_use, queue, outcome, wait_s > 0 FROM limiter_waits ORDER BY ts") == [
        (2, 0, 0, "acquired", True),
        (2, 1, 0, "acquired", True),
        (2, 2, 0, "rejected", True),
    ]
    assert shown.metric("tachograph.limiter.limit") == 2
    assert shown.metric("tachograph.limiter.wait.duration", tachograph_limiter_outcome="rejected") == 1


def test_p08_cache_hit_and_miss_with_the_scope_of_the_key(shown):
    assert shown.rows(
        "SELECT operation, result, scope, key_parts, entry_tenant, age_s > 0 FROM cache_lookups ORDER BY ts"
    ) == [
        ("lookup", "miss", "tenant", ["tenant", "question"], None, None),
        ("store", None, "tenant", ["tenant", "question"], None, None),
        ("lookup", "hit", "tenant", ["tenant", "question"], "acme", True),
    ]
    assert shown.metric("tachograph.cache.lookups", tachograph_cache_result="hit") == 1


def test_p08_cached_tokens_of_the_provider(shown):
    assert shown.rows("SELECT DISTINCT input_tokens, cached_tokens FROM llm_calls WHERE outcome = 'success'") == [
        (1711, 1024)
    ]


def test_p09_retries_inside_of_the_client(shown):
    assert shown.rows(
        "SELECT l.attempt, r.llm_calls, r.attempts FROM llm_calls l JOIN runs r USING (run_id) WHERE l.attempt > 1"
    ) == [(3, 1, 3)]


def test_p09_provider_down(shown):
    assert shown.rows(
        "SELECT model, provider, outcome, error_type, circuit FROM llm_calls WHERE outcome = 'error'"
    ) == [("gpt-4o", "openai", "error", "ProviderDownError", "open")]
    assert shown.metric("tachograph.llm.calls", tachograph_llm_outcome="error") == 1


def test_p09_degraded_mode_flag(shown):
    assert shown.rows(
        "SELECT d.mode, d.trigger, d.component, d.disclosed, d.duration_s > 0, r.outcome"
        " FROM degradations d JOIN runs r USING (run_id) WHERE d.mode = 'fallback_model'"
    ) == [("fallback_model", "provider_down", "openai", True, True, "degraded")]


def test_p10_release_and_gate(shown):
    assert shown.rows(
        "SELECT release, track, count(*) > 13 FROM runs WHERE workflow = 'travel' GROUP BY ALL ORDER BY 1"
    ) == [
        ("desk-11", "canary", True),
        ("desk-17", "shadow", False),
    ]
    assert shown.rows("SELECT suite, case_id, name, score, label FROM evaluations") == [
        ("golden", "case-17", "exact_match", 1.0, "pass")
    ]
    assert shown.rows("SELECT gate, verdict, decision, samples, observed, baseline, threshold FROM gates") == [
        ("canary", "pass", "promote", 13, 0.93, 0.92, 0.03)
    ]


def test_p09_circuit_breakers_state(shown):
    """Beyond the rows that others are compared by."""
    assert shown.rows("SELECT DISTINCT tool_name, circuit FROM tool_calls WHERE circuit IS NOT NULL ORDER BY ALL") == [
        ("lookup", "closed"),
        ("lookup", "open"),
        ("refund", "half_open"),
    ]
