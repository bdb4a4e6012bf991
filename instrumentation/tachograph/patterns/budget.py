"""P05, budgets and stop conditions: limit, use and what the agent did about it."""

from __future__ import annotations

from typing import Literal

from tachograph.audit.record import audit
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import current
from tachograph.telemetry.guard import guarded
from tachograph.telemetry.recorder import covering

BudgetType = Literal[
    "turns", "tool_calls", "wall_time", "retries", "input_tokens", "output_tokens", "total_tokens", "cost"
]
Scope = Literal["step", "tool", "run", "session", "tenant"]
Action = Literal["none", "stop", "degrade", "escalate", "continue"]

ENDING = frozenset({"stop", "degrade", "escalate"})  # what does not go on as before
STOP_REASONS: dict[BudgetType, str] = {
    "turns": "max_turns",
    "tool_calls": "max_tool_calls",
    "wall_time": "timeout",
    "retries": "retry_exhausted",
    "input_tokens": "token_budget",
    "output_tokens": "token_budget",
    "total_tokens": "token_budget",
    "cost": "cost_budget",
}

WARNING = 0.8  # of the limit; a run that has a fifth left can still end well


@guarded("budget", None)
def budget(type: BudgetType, *, limit: float, used: float, scope: Scope = "run", action: Action = "none") -> None:
    """Says how much of a budget is used, in its own unit (count, seconds, tokens, US dollars), and what follows."""
    recorder = covering("budget")
    if recorder is None:
        return
    share = used / limit if limit > 0 else float(used >= limit)
    state = "hit" if share >= 1 else "warning" if share >= WARNING else "ok"
    entry = {
        n.BUDGET_TYPE: type,
        n.BUDGET_SCOPE: scope,
        n.BUDGET_LIMIT: float(limit),
        n.BUDGET_USED: float(used),
        n.BUDGET_STATE: state,
        n.BUDGET_ACTION: action,
    }
    recorder.event(n.EVENT_BUDGET_USED, entry)
    labels = recorder.with_common(entry)
    recorder.metrics.record_all(labels, (instruments.BUDGET_CHECKS, 1), (instruments.BUDGET_UTILIZATION, share))
    run = current()
    if run is None or state != "hit":
        return
    if action == "continue" and (type, scope) not in run.hits:
        audit(recorder, "override", {name: entry[name] for name in (n.BUDGET_TYPE, n.BUDGET_SCOPE, n.BUDGET_LIMIT)})
    run.hits.setdefault((type, scope), False)
    if action in ENDING and scope in {"run", "session", "tenant"}:
        run.stopped = STOP_REASONS[type]
