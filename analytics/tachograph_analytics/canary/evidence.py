"""What stands behind a gate: how the sessions of both releases are spread, and the candidate's runs that moved it."""
# ruff: noqa: S608 - releases are quoted by `text`, everything else is said here

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tachograph_analytics.canary.sessions import TABLE, standalone, where
from tachograph_analytics.canary.unit import UNIT
from tachograph_analytics.runs.scope import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

    from tachograph_analytics.canary.releases import Pair
    from tachograph_analytics.runs.scope import Scope

LEVELS: Final = tuple(level / 100 for level in range(101))
"""The shares of sessions whose quantiles a curve is drawn through."""

_MOST_RUNS: Final = 7
_MOST_CATEGORIES: Final = 12

# The column of a session whose spread is the gate's evidence, and its unit.
_QUANTITIES: Final[Mapping[str, tuple[str, str, str]]] = {
    "cost_per_success": ("Cost of a session", "cost", "USD"),
    "latency_p95": ("Longest run of a session", "duration_ms", "ms"),
    "latency": ("Longest run of a session", "duration_ms", "ms"),
}

# What happened in which run, in kinds; a session counts for each kind that happened in it.
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "success": ("Outcome", "SELECT run_id, coalesce(outcome, 'not ended') AS kind FROM runs"),
    "blocked": (
        "Checkpoint and rule that denied",
        """SELECT run_id, concat_ws(': ', name, rule) AS kind FROM checkpoints WHERE decision = 'deny'
           UNION ALL SELECT run_id, 'the run was refused' FROM runs WHERE outcome = 'refused'""",
    ),
    "redactions": (
        "Checkpoint and rule that redacted",
        "SELECT run_id, concat_ws(': ', name, rule) AS kind FROM checkpoints WHERE redactions > 0",
    ),
    "approval": ("What became of the approval", "SELECT run_id, coalesce(status, 'unknown') AS kind FROM approvals"),
    "degraded": (
        "Degraded mode",
        """SELECT run_id, concat_ws(': ', mode, component) AS kind FROM degradations
           UNION ALL SELECT run_id, 'the run ended degraded' FROM runs WHERE outcome = 'degraded'""",
    ),
    "budget": (
        "Budget that was used up",
        "SELECT run_id, concat_ws(' of the ', budget, scope) AS kind FROM budgets WHERE state = 'hit'",
    ),
}

# Which of the candidate's runs moved a gate, in which order, and what they are called.
_DENIED: Final = "run_id IN (SELECT run_id FROM checkpoints WHERE decision = 'deny')"
_MOVERS: Final[Mapping[str, tuple[str, str, str]]] = {
    "success": ("outcome <> 'success'", "ts DESC", "Newest runs that were no success"),
    "cost_per_success": ("cost IS NOT NULL", "cost DESC", "Costliest runs"),
    "latency_p95": ("duration_ms IS NOT NULL", "duration_ms DESC", "Longest runs"),
    "latency": ("duration_ms IS NOT NULL", "duration_ms DESC", "Longest runs"),
    "blocked": (f"(outcome = 'refused' OR {_DENIED})", "ts DESC", "Newest runs that were blocked or refused"),
    "redactions": (
        "run_id IN (SELECT run_id FROM checkpoints WHERE redactions > 0)",
        "ts DESC",
        "Newest runs with redactions",
    ),
    "approval": (
        "run_id IN (SELECT run_id FROM approvals WHERE status = 'rejected')",
        "ts DESC",
        "Newest runs with a rejected approval",
    ),
    "degraded": (
        "(outcome = 'degraded' OR run_id IN (SELECT run_id FROM degradations))",
        "ts DESC",
        "Newest runs in a degraded mode",
    ),
    "budget": (
        "run_id IN (SELECT run_id FROM budgets WHERE state = 'hit')",
        "ts DESC",
        "Newest runs that used a budget up",
    ),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """The quantiles at LEVELS of a quantity of the sessions of both releases; () for a release without any."""

    label: str
    unit: str
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    sql: str


@dataclass(frozen=True, slots=True)
class Kind:
    """In how many sessions of baseline and candidate something of this kind happened."""

    name: str
    baseline: int
    candidate: int


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of what a gate counts, those that most sessions had first; at most a dozen."""

    label: str
    kinds: tuple[Kind, ...]
    sql: str


@dataclass(frozen=True, slots=True)
class Mover:
    """A run of the candidate that moved a gate; cost in US dollars."""

    run_id: str
    ts: datetime
    outcome: str | None
    cost: float | None
    duration_ms: float | None
    tenant: str | None
    workflow: str | None


@dataclass(frozen=True, slots=True)
class Movers:
    """The runs that moved a gate most, and what they are."""

    title: str
    runs: tuple[Mover, ...]
    sql: str


def spread(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope, gate: str) -> Spread | None:
    """How the quantity behind a gate is spread in `scope`, the overlap; None for a gate that counts things."""
    if gate not in _QUANTITIES:
        return None
    label, column, unit = _QUANTITIES[gate]
    levels = ", ".join(map(str, LEVELS))
    sql = standalone(
        f"SELECT release, quantile_cont({column}, [{levels}]) AS quantiles\nFROM {TABLE} GROUP BY release", pair, scope
    )
    found = dict(connection.execute(sql).fetchall())
    baseline, candidate = (tuple(found.get(release.id) or ()) for release in (pair.baseline, pair.candidate))
    return Spread(label, unit, baseline, candidate, sql)


def kinds(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope, gate: str) -> Kinds | None:
    """In how many sessions what happened in `scope`, the overlap; None for a gate that measures a quantity."""
    if gate not in _KINDS:
        return None
    label, happened = _KINDS[gate]
    baseline, candidate = text(pair.baseline.id), text(pair.candidate.id)
    sql = f"""SELECT kind, count(DISTINCT session) FILTER (release = {baseline}) AS baseline,
  count(DISTINCT session) FILTER (release = {candidate}) AS candidate
FROM (SELECT run_id, release, {UNIT} AS session FROM runs {where(pair, scope)})
JOIN ({happened}) USING (run_id)
GROUP BY kind ORDER BY baseline + candidate DESC, kind LIMIT {_MOST_CATEGORIES}"""
    return Kinds(label, tuple(Kind(*row) for row in connection.execute(sql).fetchall()), sql)


def movers(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope, gate: str) -> Movers | None:
    """The candidate's runs in `scope`, the overlap, that moved a gate; None for golden cases, which are no traffic."""
    if gate not in _MOVERS:
        return None
    condition, order, title = _MOVERS[gate]
    sql = f"""SELECT run_id, ts, outcome, cost, duration_ms, tenant, workflow FROM runs {where(pair, scope)}
  AND release = {text(pair.candidate.id)} AND {condition}
ORDER BY {order}, run_id LIMIT {_MOST_RUNS}"""
    rows = connection.execute(sql).fetchall()
    runs = tuple(Mover(run_id, ts.replace(tzinfo=UTC), *facts) for run_id, ts, *facts in rows)
    return Movers(f"{title} of {pair.candidate.id}", runs, sql)
