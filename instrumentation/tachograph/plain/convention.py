"""The naming convention: what a function's name says about the step that a call of it is."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from tachograph.plain import (
    approvals,
    budgets,
    caches,
    checks,
    contracts,
    degradations,
    evaluations,
    evidence,
    models,
    resumption,
    routes,
    runs,
    tools,
    turns,
)
from tachograph.plain.call import Convention

if TYPE_CHECKING:
    from collections.abc import Iterable

_ARGUMENTS = Convention("tool.input", contracts.input_check, contracts.input_checked)
_RUN = Convention("run", runs.entry, runs.ended)
_WAITING_RUN = Convention("run", resumption.waiting_entry, runs.ended)
_RESUME = Convention("run", resumption.resumed, runs.ended)
_EXECUTE = Convention("step", runs.entry_or_step, runs.ended, covers=("run",))
_STEP = Convention("step", runs.step)
_TOOL = Convention("tool", tools.tool(lingers=False), tools.came_back)
_LINGERING_TOOL = Convention("tool", tools.tool(lingers=True), tools.came_back)
_LLM = Convention("llm", models.llm, models.answered, models.nested)
_RESULT = Convention("checkpoint.post_tool", checks.result_check, checks.decided, covers=("tool.output",))
_PLAN = Convention("plan", routes.plan, routes.planned)
_APPROVAL = Convention("approval", approvals.approval, approvals.answered)
_AUDIT = Convention("audit", approvals.audit_entry)
_BUDGET = Convention("budget", budgets.budget_check, budgets.checked)
_DEGRADED = Convention("degraded", degradations.degraded, degradations.told)
_PROMPT = Convention("checkpoint.pre_model", checks.check("pre_model"), checks.decided)
_TURN = Convention("turn", turns.turn)
_DELEGATE = Convention("delegate", routes.delegate)
_EVALUATION = Convention("evaluation", evaluations.evaluate, evaluations.judged)
_GATE = Convention("gate", evaluations.decide_release, evaluations.judged)

NAMES: Final[dict[str, Convention]] = {
    **dict.fromkeys(
        (
            "handle",
            "handle_request",
            "handle_message",
            "run",
            "run_agent",
            "answer",
            "respond",
            "reply",
            "process_request",
            "ask",
            "invoke",
        ),
        _RUN,
    ),
    **dict.fromkeys(("resume", "resume_run", "continue_run"), _RESUME),
    "execute": _EXECUTE,
    "run_step": _STEP,
    **dict.fromkeys(("run_turn", "take_turn"), _TURN),
    "validate_request": Convention("checkpoint.pre_request", checks.check("pre_request"), checks.decided),
    **dict.fromkeys(("validate_prompt", "validate_messages"), _PROMPT),
    "validate_tool_call": Convention("checkpoint.pre_tool", checks.tool_check, checks.decided),
    "validate_tool_result": _RESULT,
    "validate_tool_output": _RESULT,
    "validate_output": Convention("checkpoint.post_output", checks.check("post_output"), checks.decided),
    **dict.fromkeys(("call_tool", "execute_tool", "run_tool", "use_tool"), _TOOL),
    **dict.fromkeys(("validate_tool_input", "validate_tool_args", "validate_arguments"), _ARGUMENTS),
    "authorize": Convention("tool.authz", checks.authorization, checks.authorized),
    "plan": _PLAN,
    "decompose": _PLAN,
    "route": Convention("route", routes.route, routes.routed),
    **dict.fromkeys(("delegate", "handoff", "hand_off"), _DELEGATE),
    "combine": Convention("combine", routes.combine, evidence.combined),
    **dict.fromkeys(("llm", "complete", "chat", "generate"), _LLM),
    **dict.fromkeys(("request_approval", "approve", "ask_approval", "confirm"), _APPROVAL),
    **dict.fromkeys(("record_audit", "write_audit", "audit"), _AUDIT),
    **dict.fromkeys(("check_budget", "charge", "spend"), _BUDGET),
    degradations.ANSWER: _DEGRADED,
    **dict.fromkeys(("evaluate", "judge", "grade", "run_golden_set"), _EVALUATION),
    **dict.fromkeys(("release_gate", "check_gate", "decide_release"), _GATE),
}
"""Names of functions and methods wherever they stand."""

CACHE_METHODS: Final = {
    name: Convention("cache", caches.access(operation), caches.served) for name, operation in caches.OPERATIONS.items()
}
"""Names of methods of caches; a mapping calls them cache.get, cache.set …"""

VALIDATORS: Final = frozenset(name for name, convention in NAMES.items() if convention is _RESULT)
"""Names under which results of tools are validated."""


def find(name: str, *, in_cache: bool = False) -> Convention | None:
    """What a function of that name is, in a cache or elsewhere; None where the convention says nothing."""
    if in_cache and name in CACHE_METHODS:
        return CACHE_METHODS[name]
    if name.startswith(degradations.PREFIXES):
        return _DEGRADED
    return NAMES.get(name)


def meant(name: str) -> Convention | None:
    """What a mapping means by a convention name; None where it is none."""
    cache, _, method = name.partition(".")
    return CACHE_METHODS.get(method) if cache == "cache" else find(name)


def lingering(convention: Convention) -> Convention:
    """The convention for an agent that validates a tool's result after its call has ended."""
    return _LINGERING_TOOL if convention is _TOOL else convention


def resumes(convention: Convention) -> bool:
    """Whether a function goes on with a run that waited."""
    return convention is _RESUME


def waiting(convention: Convention) -> Convention:
    """The convention for an agent that goes on with runs which waited: its entries open runs that may wait."""
    return _WAITING_RUN if convention is _RUN else convention


def nearest(name: str, known: Iterable[str]) -> str:
    """The known names that come nearest to one that is not known, for a sentence."""
    return ", ".join(difflib.get_close_matches(name, list(known), n=3, cutoff=0.0))
