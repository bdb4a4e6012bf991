"""What can be asked of each pattern: its words, and the attribute of the registry behind each."""

from __future__ import annotations

from typing import Any, Final

from tachograph.registry import names as n
from tachograph.testing.facts import Subject, Word


def _words(**attributes: str | Word) -> dict[str, Word]:
    return {word: one if isinstance(one, Word) else Word(one) for word, one in attributes.items()}


def _how_many(values: Any) -> int:
    return len(values or ())


RUN: Final = Subject(
    "run",
    "run",
    "run",
    "with tachograph.run(…)",
    _words(
        outcome=n.RUN_OUTCOME,
        stop_reason=n.RUN_STOP_REASON,
        tier=n.RUN_TIER,
        workflow=n.WORKFLOW,
        tenant=n.TENANT_ID,
        turns=n.RUN_TURNS,
        suspended=Word(n.RUN_SUSPENDED, bool),
    ),
)
LLM: Final = Subject(
    "LLM call",
    "llm",
    "llm",
    "with tachograph.llm_call(…)",
    _words(model=n.GEN_AI_REQUEST_MODEL, provider=n.GEN_AI_PROVIDER_NAME, outcome=n.LLM_OUTCOME),
)
CHECKPOINT: Final = Subject(
    "checkpoint",
    "checkpoint",
    "checkpoint",
    "with tachograph.checkpoint(…, stage=…)",
    _words(
        stage=n.CHECKPOINT_STAGE,
        decision=n.CHECKPOINT_DECISION,
        name=n.CHECKPOINT_NAME,
        rule=n.CHECKPOINT_RULE,
        policy=n.CHECKPOINT_POLICY,
        policy_version=n.CHECKPOINT_POLICY_VERSION,
        score=n.CHECKPOINT_SCORE,
        tool=n.GEN_AI_TOOL_NAME,
        enforcement=n.CHECKPOINT_ENFORCEMENT,
        redactions=n.REDACTION_COUNT,
    ),
)
APPROVAL: Final = Subject(
    "approval",
    "approval",
    "approval",
    "with tachograph.approval(…)",
    _words(
        tool=n.GEN_AI_TOOL_NAME,
        status=n.APPROVAL_STATUS,
        mode=n.APPROVAL_MODE,
        tier=n.TOOL_TIER,
        approvers=Word(n.APPROVAL_APPROVERS, _how_many),
        role=n.APPROVAL_APPROVER_ROLE,
        diff_shown=n.APPROVAL_DIFF_PRESENTED,
    ),
)
AUDIT: Final = Subject(
    "audit entry",
    n.EVENT_AUDIT_RECORDED,
    "audit",
    "tachograph.approval(…) or a write of tachograph.tool(…)",
    _words(action=n.AUDIT_ACTION, tool=n.GEN_AI_TOOL_NAME, status=n.APPROVAL_STATUS, outcome=n.TOOL_OUTCOME),
)
TOOL: Final = Subject(
    "tool call",
    "tool",
    "tool",
    "with tachograph.tool(…)",
    _words(
        name=n.GEN_AI_TOOL_NAME,
        outcome=n.TOOL_OUTCOME,
        effect=n.TOOL_EFFECT,
        authz=n.TOOL_AUTHZ,
        tier=n.TOOL_TIER,
        attempt=n.TOOL_ATTEMPT,
        input=n.TOOL_INPUT_RESULT,
        output=n.TOOL_OUTPUT_RESULT,
        idempotency=n.TOOL_IDEMPOTENCY_RESULT,
        circuit=n.CIRCUIT_STATE,
        role=n.ACTOR_ROLE,
    ),
)
RETRY: Final = Subject(
    "retry",
    n.EVENT_TOOL_RETRY,
    "retry",
    "tachograph.retry(…)",
    _words(tool=n.GEN_AI_TOOL_NAME, attempt=n.TOOL_ATTEMPT, error=n.ERROR_TYPE),
)
EVIDENCE: Final = Subject(
    "evidence",
    n.EVENT_EVIDENCE_CITED,
    "evidence",
    "tachograph.evidence(…)",
    _words(
        claim=n.EVIDENCE_CLAIM,
        resolution=n.EVIDENCE_RESOLUTION,
        source=n.EVIDENCE_SOURCE_TYPE,
        ref=n.EVIDENCE_SOURCE_REF,
        producer=n.EVIDENCE_PRODUCER,
    ),
)
BUDGET: Final = Subject(
    "budget",
    n.EVENT_BUDGET_USED,
    "budget",
    "tachograph.budget(…)",
    _words(
        type=n.BUDGET_TYPE, state=n.BUDGET_STATE, action=n.BUDGET_ACTION, scope=n.BUDGET_SCOPE, limit=n.BUDGET_LIMIT
    ),
)
ROUTE: Final = Subject(
    "route",
    "route",
    "route",
    "with tachograph.route(…)",
    _words(
        router=n.ROUTER_NAME,
        selected=n.ROUTING_SELECTED,
        candidates=n.ROUTING_CANDIDATES,
        method=n.ROUTING_METHOD,
        outcome=n.ROUTING_OUTCOME,
        constrained=n.ROUTING_CONSTRAINT_APPLIED,
    ),
)
PLAN: Final = Subject("plan", "plan", "plan", "with tachograph.plan(…)", _words(subtasks=n.PLAN_SUBTASKS))
DELEGATE: Final = Subject(
    "delegation",
    "delegate",
    "delegate",
    "with tachograph.delegate(…)",
    _words(to=n.ROUTING_SELECTED, subtask=n.SUBTASK_ID, source=n.DELEGATION_FROM),
)
COMBINE: Final = Subject(
    "combination",
    "combine",
    "combine",
    "with tachograph.combine(…)",
    _words(strategy=n.COMBINE_STRATEGY, inputs=n.COMBINE_INPUTS),
)
LIMITER: Final = Subject(
    "limiter wait",
    n.EVENT_LIMITER_WAIT,
    "limiter",
    "with tachograph.limiter(…, limit=…)",
    _words(
        name=n.LIMITER_NAME,
        outcome=n.LIMITER_OUTCOME,
        limit=n.LIMITER_LIMIT,
        in_use=n.LIMITER_IN_USE,
        queue=n.LIMITER_QUEUE,
    ),
)
CACHE: Final = Subject(
    "cache operation",
    "cache",
    "cache",
    "with tachograph.cache(…)",
    _words(
        name=n.CACHE_NAME,
        result=n.CACHE_RESULT,
        scope=n.CACHE_SCOPE,
        operation=n.CACHE_OPERATION,
        parts=n.CACHE_KEY_PARTS,
        writer=n.CACHE_ENTRY_TENANT_ID,
    ),
)
DEGRADED: Final = Subject(
    "degraded mode",
    n.EVENT_DEGRADATION_ENTERED,
    "degraded",
    "with tachograph.degraded(…, trigger=…)",
    _words(
        mode=n.DEGRADATION_MODE,
        trigger=n.DEGRADATION_TRIGGER,
        component=n.DEGRADATION_COMPONENT,
        disclosed=n.DEGRADATION_DISCLOSED,
    ),
)
RELEASE: Final = Subject(
    "release",
    n.EVENT_RELEASE_ASSIGNED,
    "release",
    "tachograph.release(…)",
    _words(id=n.RELEASE_ID, track=n.RELEASE_TRACK),
)
EVALUATION: Final = Subject(
    "evaluation",
    n.EVENT_GEN_AI_EVALUATION_RESULT,
    "evaluation",
    "tachograph.evaluation(…)",
    _words(
        name=n.GEN_AI_EVALUATION_NAME,
        label=n.GEN_AI_EVALUATION_SCORE_LABEL,
        score=n.GEN_AI_EVALUATION_SCORE_VALUE,
        suite=n.EVALUATION_SUITE,
        case_id=n.EVALUATION_CASE_ID,
    ),
)
GATE: Final = Subject(
    "gate",
    n.EVENT_GATE_DECIDED,
    "gate",
    "tachograph.gate(…, verdict=…, decision=…)",
    _words(name=n.GATE_NAME, verdict=n.GATE_VERDICT, decision=n.GATE_DECISION, samples=n.GATE_SAMPLES),
)
