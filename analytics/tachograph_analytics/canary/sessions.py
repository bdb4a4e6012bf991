"""One row a session of two releases, from the time in which both ran: what every gate counts."""
# ruff: noqa: S608 - literals are quoted by `text` and Scope, everything else is said here

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tachograph_analytics.canary.unit import TRAFFIC, UNIT
from tachograph_analytics.runs.figure import Figure
from tachograph_analytics.runs.scope import Scope, text

if TYPE_CHECKING:
    from collections.abc import Generator

    import duckdb

    from tachograph_analytics.canary.releases import Pair

TABLE: Final = "canary_sessions"


@dataclass(frozen=True, slots=True)
class Arm:
    """What was seen of one release in the time in which both ran.

    `unended` runs have no outcome yet. `hooks` are those that its runs say are installed. `early` are its sessions of
    the first half of that time.
    """

    sessions: int
    runs: int
    unended: int
    early: int
    hooks: frozenset[str]

    def shows(self, hook: str) -> bool:
        """Whether the arm shows a hook or one below it, such as checkpoint.pre_tool for checkpoint."""
        return any(known == hook or known.startswith(f"{hook}.") for known in self.hooks)


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of two releases, at hand under the name TABLE; `both` sessions saw both and are left out.

    `connection` has the table until `at_hand` ends. `scope` is the time in which both releases ran.
    """

    connection: duckdb.DuckDBPyConnection
    pair: Pair
    scope: Scope
    baseline: Arm
    candidate: Arm
    both: int

    def figure(self, label: str, unit: str, sql: str) -> Figure:
        """The figure behind a query over TABLE. Its SQL brings the table along, so that it can be asked anywhere."""
        (value,) = self.connection.execute(sql).fetchall()[0]
        return Figure(label, value, unit, standalone(sql, self.pair, self.scope))


@contextmanager
def at_hand(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope) -> Generator[Sessions]:
    """The sessions of `pair` in `scope`, which is their overlap: computed once for all gates, gone afterwards."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE {TABLE} AS {query(pair, scope)}")
        crossed = cursor.execute(f"SELECT count(*) FROM ({_crossed(pair, scope)})").fetchall()[0][0]
        hooks = dict(cursor.execute(_hooks(pair, scope)).fetchall())
        baseline, candidate = (
            _arm(cursor, release.id, hooks.get(release.id) or ()) for release in (pair.baseline, pair.candidate)
        )
        yield Sessions(cursor, pair, scope, baseline, candidate, crossed)


def standalone(sql: str, pair: Pair, scope: Scope) -> str:
    """A query over TABLE that brings the table along."""
    return f"WITH {TABLE} AS ({query(pair, scope)}\n)\n{sql}"


def query(pair: Pair, scope: Scope) -> str:
    """One row a session of the runs of `pair` that began in `scope`, its overlap, but no session that saw both.

    A run of a golden case is no traffic and is left out. `success`, `degraded` and so on are about the session as a
    whole; `duration_ms` is its longest run; `costs` has the cost of each run, null among them where it has no price.
    """
    return f"""
SELECT {UNIT} AS session, release, min(ts) AS ts, count(*) AS runs, count(outcome) AS ended,
  count(*) FILTER (outcome = 'success') AS successes,
  count(*) FILTER (outcome = 'success') = count(outcome) AS success,
  list(cost) AS costs, sum(cost) AS cost, count(cost) = count(*) AS priced, max(duration_ms) AS duration_ms,
  coalesce(bool_or(outcome = 'refused'), false) OR coalesce(sum(denials), 0) > 0 AS blocked,
  coalesce(sum(redactions), 0) > 0 AS redacted, coalesce(sum(decided), 0) AS approvals,
  coalesce(sum(rejections), 0) > 0 AS rejected,
  coalesce(bool_or(outcome = 'degraded'), false) OR coalesce(sum(stays), 0) > 0 AS degraded,
  coalesce(sum(hits), 0) > 0 AS budget_hit
FROM runs
LEFT JOIN (SELECT run_id, count(*) FILTER (decision = 'deny') AS denials, sum(redactions) AS redactions
           FROM checkpoints GROUP BY run_id) USING (run_id)
LEFT JOIN (SELECT run_id, count(*) FILTER (status = 'rejected') AS rejections,
             count(*) FILTER (status IN ('approved', 'modified', 'rejected')) AS decided
           FROM approvals GROUP BY run_id) USING (run_id)
LEFT JOIN (SELECT run_id, count(*) AS stays FROM degradations GROUP BY run_id) USING (run_id)
LEFT JOIN (SELECT run_id, count(*) AS hits FROM budgets WHERE state = 'hit' GROUP BY run_id) USING (run_id)
{where(pair, scope)}
GROUP BY ALL"""


def where(pair: Pair, scope: Scope) -> str:
    """WHERE …: the runs that count, over the view runs."""
    return _runs(pair, scope, f"{UNIT} NOT IN ({_crossed(pair)})")


def _runs(pair: Pair, scope: Scope, *more: str) -> str:
    releases = ", ".join(text(release.id) for release in (pair.baseline, pair.candidate))
    return scope.where(f"release IN ({releases})", TRAFFIC, *more).lstrip()


def _crossed(pair: Pair, scope: Scope | None = None) -> str:
    """The sessions that saw both releases at any time, or those of them that have a run in `scope`."""
    seen = (
        f"SELECT {UNIT} FROM runs {_runs(pair, Scope(agent=pair.agent))} GROUP BY 1 HAVING count(DISTINCT release) > 1"
    )
    return f"SELECT DISTINCT {UNIT} FROM runs {_runs(pair, scope, f'{UNIT} IN ({seen})')}" if scope else seen


def _hooks(pair: Pair, scope: Scope) -> str:
    return f"""SELECT release, list(DISTINCT hook)
               FROM (SELECT release, unnest(hooks) AS hook FROM runs {_runs(pair, scope)}) GROUP BY release"""


def _arm(cursor: duckdb.DuckDBPyConnection, release: str, hooks: tuple[str, ...]) -> Arm:
    sessions, runs, unended, early = cursor.execute(
        f"""SELECT count(*), coalesce(CAST(sum(runs) AS BIGINT), 0), coalesce(CAST(sum(runs - ended) AS BIGINT), 0),
                   count(*) FILTER (ts < (SELECT min(ts) + (max(ts) - min(ts)) / 2 FROM {TABLE}))
            FROM {TABLE} WHERE release = {text(release)}"""
    ).fetchall()[0]
    return Arm(sessions, runs, unended, early, frozenset(hooks))
