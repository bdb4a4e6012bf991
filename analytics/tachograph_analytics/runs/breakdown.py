"""What the runs of a range cost, achieve and take, by one of their attributes: a row for each of its values."""
# ruff: noqa: S608 - Scope quotes its literals, attributes are a fixed list

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tachograph_analytics.runs.attribute import BY_NAME

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.runs.scope import Scope

By = Literal["tenant", "workflow", "agent", "release", "track", "tier", "outcome", "stop_reason"]

MOST: Final = 20  # rows that are asked for: those with the highest cost, which are what one looks for


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one value (null: none recorded).

    `cost` and `cost_per_success` are US dollars, null where no run has a price or none succeeded; `unpriced` runs are
    not in them. `success_rate` is a share of the runs that ended, null where none did.
    """

    value: str | None
    runs: int
    cost: float | None
    cost_per_success: float | None
    success_rate: float | None
    p95_ms: float | None
    unpriced: int


def breakdown(connection: duckdb.DuckDBPyConnection, scope: Scope, by: By) -> tuple[Group, ...]:
    """The groups of the runs in `scope`, at most MOST, the highest cost first."""
    return tuple(Group(*row) for row in connection.execute(sql(scope, by)).fetchall())


def sql(scope: Scope, by: By) -> str:
    """The query behind `breakdown`: a row a group, its columns are the fields of Group."""
    return f"""SELECT {BY_NAME[by].sql} AS value, count(*) AS runs, round(sum(cost), 6) AS cost,
  round(sum(cost) / nullif(count(*) FILTER (outcome = 'success'), 0), 6) AS cost_per_success,
  round(count(*) FILTER (outcome = 'success') / nullif(count(*) FILTER (outcome IS NOT NULL), 0), 4) AS success_rate,
  round(quantile_cont(duration_ms, 0.95), 1) AS p95_ms, count(*) FILTER (cost IS NULL) AS unpriced
FROM runs{scope.where()}
GROUP BY ALL ORDER BY cost DESC NULLS LAST, runs DESC, value LIMIT {MOST}"""
