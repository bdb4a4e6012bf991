"""What window and baseline add up to: the figures of the sentence over the chart."""
# ruff: noqa: S608 - Scope quotes its literals

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from tachograph_analytics.runs import estimate
from tachograph_analytics.runs.scope import moment

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.spikes.window import Comparison


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the window, and over the baseline as it would be in the window's length of time.

    US dollars and runs; `unpriced` runs of the window are not in its cost. `sampled` is the lowest share of runs that
    was kept, 1 for all: below 1 everything here is an estimate of what there was.
    """

    runs: int
    cost: float
    successes: int
    unpriced: int
    sampled: float
    usual_runs: float
    usual_cost: float
    usual_successes: float
    sql: str

    @property
    def row(self) -> tuple[float, ...]:
        """What the query gives, under COLUMNS."""
        return tuple(getattr(self, column) for column in COLUMNS)

    @property
    def more(self) -> float:
        """US dollars beyond what is usual."""
        return self.cost - self.usual_cost


COLUMNS: Final = tuple(field.name for field in fields(Totals) if field.name != "sql")


def totals(connection: duckdb.DuckDBPyConnection, comparison: Comparison) -> Totals:
    """The totals of a window and its baseline."""
    here, weight = f"ts >= {moment(comparison.window.since)}", comparison.weight_sql
    runs, whole, total = estimate.runs, estimate.whole, estimate.total
    sql = f"""SELECT {whole(runs(here))} AS runs,
  round(coalesce({total("cost", here)}, 0), 6) AS cost,
  {whole(runs(f"{here} AND outcome = 'success'"))} AS successes,
  {whole(runs(f"{here} AND cost IS NULL"))} AS unpriced,
  coalesce(min({estimate.RATE}) FILTER ({here}), 1) AS sampled,
  round({weight} * {runs(f"NOT {here}")}, 3) AS usual_runs,
  round({weight} * coalesce({total("cost", f"NOT {here}")}, 0), 6) AS usual_cost,
  round({weight} * {runs(f"NOT {here} AND outcome = 'success'")}, 3) AS usual_successes
FROM runs{comparison.where()}"""
    (row,) = connection.execute(sql).fetchall()
    return Totals(*row, sql=sql)
