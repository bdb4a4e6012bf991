"""Two releases of one agent in the same window: the fairest comparison there is, since all else is the same."""
# ruff: noqa: S608 - Scope quotes its literals

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from tachograph_analytics.canary.unit import UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tachograph_analytics.runs.scope import Scope

LEAST_SUCCESSES: Final = 30  # of each release: its cost per success is a mean, and costs are skewed
LEAST_UNITS: Final = 30  # of each release: the standard error is over them, and of one or two it is near nothing
_LEAST_RATIO: Final = 0.1  # a tenth more or less: below it no page is read for it
_LEAST_ERRORS: Final = 3.0  # one comparison an agent, so the usual bound against chance holds


@dataclass(frozen=True, slots=True)
class Release:
    """A release of an agent in the window: US dollars per success with the standard error of that.

    `units` are its sessions, with users and runs for what has no session: the error is over them, not over runs.
    """

    agent: str
    name: str
    runs: int
    units: int
    successes: int
    cost_per_success: float
    error: float


@dataclass(frozen=True, slots=True)
class Pair:
    """The newest release and, of those before it, the one with the most runs in the same window."""

    newer: Release
    older: Release

    @property
    def ratio(self) -> float:
        """How much more a success costs in the newer one: 0.6 is 60 % more."""
        return self.newer.cost_per_success / self.older.cost_per_success - 1

    @property
    def extra(self) -> float:
        """US dollars that the newer release's successes cost more than they would have in the older one."""
        return self.newer.successes * (self.newer.cost_per_success - self.older.cost_per_success)

    @property
    def clear(self) -> bool:
        """Whether they differ by more than chance, and by enough to speak of."""
        error = math.hypot(self.newer.error, self.older.error)
        gap = abs(self.newer.cost_per_success - self.older.cost_per_success)
        return abs(self.ratio) >= _LEAST_RATIO and gap >= _LEAST_ERRORS * error


def pair(connection: duckdb.DuckDBPyConnection, scope: Scope) -> Pair | None:
    """The pair of releases in `scope` that moved most money, over all agents; None where no agent has a clear one."""
    rows = [Release(*row) for row in connection.execute(sql(scope)).fetchall()]
    pairs = [_pair(list(releases)) for _, releases in groupby(rows, key=lambda release: release.agent)]
    clear = [one for one in pairs if one is not None and one.clear]
    return max(clear, key=lambda one: abs(one.extra), default=None)


def sql(scope: Scope) -> str:
    """The query behind `pair`: the releases of each agent with enough successes, the newest first."""
    return f"""WITH unit AS (
  SELECT agent, "release", {UNIT} AS unit, count(*) AS runs, count(*) FILTER (outcome = 'success') AS successes,
    sum(cost) AS cost
  FROM runs{scope.where("agent IS NOT NULL", '"release" IS NOT NULL', "cost IS NOT NULL")}
  GROUP BY ALL
), counted AS (
  SELECT agent, "release", CAST(sum(runs) AS BIGINT) AS runs, count(*) AS units,
    CAST(sum(successes) AS BIGINT) AS successes, sum(cost) AS cost, sum(cost ** 2) AS squares,
    sum(cost * successes) AS products, sum(successes ** 2) AS squared_successes
  FROM unit GROUP BY ALL
), first AS (
  SELECT agent, "release", min(ts) AS since FROM runs GROUP BY ALL
), divided AS (
  SELECT *, cost / successes AS per_success FROM counted WHERE successes >= {LEAST_SUCCESSES} AND units >= {LEAST_UNITS}
    AND cost > 0
)
SELECT agent, "release", runs, units, successes, round(per_success, 6) AS cost_per_success,
  round(
    sqrt(greatest(squares - 2 * per_success * products + per_success ** 2 * squared_successes, 0)) / successes, 6
  ) AS standard_error
FROM divided JOIN first USING (agent, "release")
ORDER BY agent, since DESC, "release" DESC"""


def _pair(newest_first: Sequence[Release]) -> Pair | None:
    if len(newest_first) < 2:  # noqa: PLR2004 - it takes two
        return None
    newer, *others = newest_first
    return Pair(newer, max(others, key=lambda release: release.runs))
