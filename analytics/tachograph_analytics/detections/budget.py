"""P05: budgets that were hit without consequence, and runs that turn in a circle."""

from __future__ import annotations

from tachograph.registry import load
from tachograph_analytics.detections.tables import Rows, findings, ibis, row, view

_ANSWERED = ("degraded", "escalated", "refused")
_WHICH = ("run_id", "budget", "scope")


def budget_no_degraded() -> Rows:
    """The first hit of a run's budget, where no degraded mode was entered at it or after and the outcome shows nothing.

    A run that has not ended is not judged.
    """
    hits = view("budgets").filter(row.state == "hit")
    first = ibis.window(group_by=[hits[name] for name in _WHICH], order_by=[hits.ts, hits.span_id])
    hits = hits.mutate(nth=ibis.row_number().over(first)).filter(row.nth == 0).drop("nth")
    degradations = view("degradations")
    entered = degradations.group_by("run_id").agg(entered=degradations.ts.max())
    runs = view("runs").select("run_id", run_outcome="outcome").filter(row.run_outcome.notnull())
    judged = hits.join(runs, "run_id").left_join(entered, "run_id")
    ignored = judged.filter(
        ~judged.run_outcome.isin(_ANSWERED) & (judged.entered.isnull() | (judged.entered < judged.ts))
    )
    return findings(
        ignored,
        "budget_no_degraded",
        "the {scope}'s {budget} budget was hit ({used} of {limit_value}) and the run ended as {run_outcome}",
    )


def loop_runaway() -> Rows:
    """The call with which a run has made one tool call with the same arguments as often as the threshold says."""
    threshold = round(load().detections["loop_runaway"].threshold or 0)
    calls = view("tool_calls").filter(row.run_id.notnull() & row.arguments_hash.notnull())
    same = [calls.run_id, calls.tool_name, calls.arguments_hash]
    counted = calls.mutate(
        nth=ibis.row_number().over(ibis.window(group_by=same, order_by=[calls.ts, calls.span_id])),
        times=calls.count().over(ibis.window(group_by=same)),
    )
    loop = counted.filter(counted.nth == threshold - 1)
    return findings(loop, "loop_runaway", "{tool_name} was called {times} times in this run with the same arguments")
