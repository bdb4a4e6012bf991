"""By which attributes of the runs a window differs from its baseline, the one that explains most on top.

The largest sum explains nothing: the largest tenant is the largest on every day. So each value is measured by what it
added beyond its share, had the whole change spread over all values as the baseline's cost did:

    excess = effect - share of the baseline's cost x sum of all effects of the attribute
    effect = cost in the window - usual cost, where the value brings traffic (tenant, workflow, agent, tier)
           = what its runs cost beyond the usual cost of a run of their agent, less the same in the baseline at the
             window's traffic, where it takes its runs from others (release, track, outcome, ...)

A canary that takes half of the runs at the old cost has no effect, and at a higher cost the whole of it; a tenant that
sends ten times as much has the whole effect though none of its runs costs more. Each run's cost counts once for each
attribute; for the model it is each call's own cost, since a run may call several.
"""
# ruff: noqa: S608 - Scope quotes its literals, attributes are a fixed list

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from tachograph_analytics.runs.attribute import ATTRIBUTES, BY_NAME, Attribute
from tachograph_analytics.runs.scope import moment

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.spikes.window import Comparison

LEAST_RUNS: Final = 20  # in window or baseline: below it one odd run is a large part of the sum
LEAST_SHARE: Final = 0.05  # of the window's cost: a smaller excess is not why somebody looks
# An excess in standard errors. Fifty values are tried at once and runs of one session resemble each other, so the
# usual two would name something on most quiet days.
LEAST_ERRORS: Final = 4.0
MOST: Final = 12  # rows: below them are single per cents

MODEL: Final = Attribute("model", "model", "model")


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of an attribute in the window and, scaled to the window's length, in the baseline.

    Money is US dollars; `share` and `usual_share` are parts of the whole cost. `runs` are calls where the attribute is
    the model. What has no runs or no success has no cost of one: null. `stands_out`: the excess is more than chance.
    """

    attribute: str
    value: str | None
    cost: float
    usual_cost: float
    difference: float
    excess: float
    share: float
    usual_share: float
    runs: int
    usual_runs: float
    cost_per_run: float | None
    usual_cost_per_run: float | None
    cost_per_success: float | None
    usual_cost_per_success: float | None
    stands_out: bool

    @property
    def about(self) -> Attribute:
        """The attribute itself."""
        return BY_NAME.get(self.attribute, MODEL)

    @property
    def words(self) -> str:
        """Attribute and value."""
        return f"{self.about.label} {self.about.shown(self.value)}"


COLUMNS: Final = tuple(field.name for field in fields(Difference))


def differences(connection: duckdb.DuckDBPyConnection, comparison: Comparison) -> tuple[Difference, ...]:
    """The MOST values with the largest excess; () without a baseline that cost something."""
    if not comparison.baseline:
        return ()
    return tuple(Difference(*row) for row in connection.execute(sql(comparison)).fetchall())


def sql(comparison: Comparison) -> str:
    """The query behind `differences`: a row a value, with the columns COLUMNS."""
    weight = comparison.weight_sql
    return f"""WITH run AS (
  SELECT run_id, ts >= {moment(comparison.window.since)} AS here, agent AS of_agent, outcome = 'success' AS success,
    coalesce(cost, 0) AS paid,
    {_aliased()}
  FROM runs{comparison.where()}
), call AS (
  SELECT here, of_agent, coalesce(llm_calls.cost, 0) AS paid, model FROM llm_calls JOIN run USING (run_id)
), part AS (
  SELECT here, paid, success, unnest([
    {_listed()}
  ], recursive := true)
  FROM ({_moved("run", weight)})
  UNION ALL
  SELECT here, paid, NULL, {len(ATTRIBUTES)}, 'model', model, beyond FROM ({_moved("call", weight)})
), summed AS (
  SELECT place, attribute, value, count(*) AS seen,
    count(*) FILTER (here) AS runs, {weight} * count(*) FILTER (NOT here) AS usual_runs,
    coalesce(sum(paid) FILTER (here), 0) AS cost, {weight} * coalesce(sum(paid) FILTER (NOT here), 0) AS usual_cost,
    count(*) FILTER (here AND success) AS successes,
    {weight} * count(*) FILTER (NOT here AND success) AS usual_successes,
    coalesce(sum(moved), 0) AS effect, sqrt(sum(moved * moved)) AS error
  FROM part GROUP BY ALL
), shared AS (
  SELECT *, usual_cost / nullif(sum(usual_cost) OVER whole, 0) AS usual_share,
    cost / nullif(sum(cost) OVER whole, 0) AS share, sum(cost) OVER whole AS all_cost,
    effect - usual_cost / nullif(sum(usual_cost) OVER whole, 0) * sum(effect) OVER whole AS excess,
    count(*) OVER whole AS several
  FROM summed WINDOW whole AS (PARTITION BY attribute)
)
SELECT attribute, value, round(cost, 6) AS cost, round(usual_cost, 6) AS usual_cost,
  round(cost - usual_cost, 6) AS difference, round(excess, 6) AS excess,
  round(coalesce(share, 0), 4) AS share, round(usual_share, 4) AS usual_share, runs, round(usual_runs, 1) AS usual_runs,
  round(cost / nullif(runs, 0), 6) AS cost_per_run, round(usual_cost / nullif(usual_runs, 0), 6) AS usual_cost_per_run,
  round(cost / nullif(successes, 0), 6) AS cost_per_success,
  round(usual_cost / nullif(usual_successes, 0), 6) AS usual_cost_per_success,
  runs >= {LEAST_RUNS} AND excess >= {LEAST_SHARE} * all_cost AND excess >= {LEAST_ERRORS} * error AS stands_out
FROM shared WHERE several > 1 AND seen >= {LEAST_RUNS} AND usual_share IS NOT NULL
ORDER BY round(excess, 6) DESC, place, value LIMIT {MOST}"""


def _aliased() -> str:
    return ",\n    ".join(f'{attribute.sql} AS "{attribute.name}"' for attribute in ATTRIBUTES)


def _listed() -> str:
    rows = (
        f"{{'place': {place}, 'attribute': '{attribute.name}', 'value': \"{attribute.name}\", "
        f"'moved': {'taken' if attribute.brings_traffic else 'beyond'}}}"
        for place, attribute in enumerate(ATTRIBUTES)
    )
    return ",\n    ".join(rows)


def _moved(table: str, weight: str) -> str:
    """What each row adds to an effect: `taken` by its cost, `beyond` by its cost over the usual one of its agent.

    An agent without a baseline has no usual cost: its own mean stands for it, and the attribute agent names it.
    """
    return f"""
    SELECT *, CASE WHEN here THEN paid ELSE -{weight} * paid END AS taken,
      CASE WHEN here THEN paid - usual ELSE -growth * {weight} * (paid - usual) END AS beyond
    FROM (
      SELECT *, coalesce(avg(paid) FILTER (NOT here) OVER agent, avg(paid) OVER agent) AS usual,
        count(*) FILTER (here) OVER agent / ({weight} * count(*) FILTER (NOT here) OVER agent) AS growth
      FROM {table} WINDOW agent AS (PARTITION BY of_agent)
    )"""
