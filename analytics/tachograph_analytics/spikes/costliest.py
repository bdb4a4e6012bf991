"""The runs that cost most, each beside what is typical for its agent and workflow in the same window."""
# ruff: noqa: S608 - Scope quotes its literals

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.runs.scope import Scope

MOST: Final = 10


@dataclass(frozen=True, slots=True)
class CostlyRun:
    """One run: US dollars, milliseconds; each `typical_` figure is the median of its agent and workflow."""

    run_id: str
    ts: datetime
    agent: str | None
    workflow: str | None
    release: str | None
    tenant: str | None
    outcome: str | None
    cost: float
    duration_ms: float | None
    turns: int | None
    attempts: int
    typical_cost: float
    typical_turns: float | None
    typical_attempts: float


def costliest(connection: duckdb.DuckDBPyConnection, scope: Scope) -> tuple[CostlyRun, ...]:
    """At most MOST runs of the scope that have a price, the costliest first."""
    rows = connection.execute(sql(scope)).fetchall()
    return tuple(CostlyRun(run_id, ts.replace(tzinfo=UTC), *rest) for run_id, ts, *rest in rows)


def sql(scope: Scope) -> str:
    """The query behind `costliest`."""
    return f"""SELECT run_id, ts, agent, workflow, "release", tenant, outcome, round(cost, 6) AS cost,
  round(duration_ms, 1) AS duration_ms, turns, attempts, round(median(cost) OVER alike, 6) AS typical_cost,
  median(turns) OVER alike AS typical_turns, median(attempts) OVER alike AS typical_attempts
FROM runs{scope.where("cost IS NOT NULL")}
WINDOW alike AS (PARTITION BY agent, workflow)
ORDER BY runs.cost DESC, run_id LIMIT {MOST}"""
