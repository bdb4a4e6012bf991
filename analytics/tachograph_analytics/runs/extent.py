"""What there is at all: from when until when, how many runs, of which agents, sampled or whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tachograph_analytics.runs.scope import Scope

if TYPE_CHECKING:
    import duckdb

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Extent:
    """All runs of a store: aware UTC times of the first and last beginning and of the last end, null without runs.

    `sample_rates` are the shares of traces that were kept, lowest first.
    """

    runs: int
    first: datetime | None
    last: datetime | None
    until: datetime | None
    agents: tuple[str, ...]
    sample_rates: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """One run of a list."""

    run_id: str
    ts: datetime
    agent: str | None
    outcome: str | None


def extent(connection: duckdb.DuckDBPyConnection) -> Extent:
    """The extent of everything in the store."""
    runs, first, last, until, agents, rates = connection.execute(
        """SELECT count(*), min(ts), max(ts), max(ts + coalesce(duration_ms, 0) * INTERVAL 1 MILLISECOND),
                  list_sort(list(DISTINCT agent) FILTER (agent IS NOT NULL)),
                  list_sort(list(DISTINCT sample_rate) FILTER (sample_rate IS NOT NULL))
           FROM runs"""
    ).fetchall()[0]
    return Extent(runs, _aware(first), _aware(last), _aware(until), tuple(agents or ()), tuple(rates or ()))


def count(connection: duckdb.DuckDBPyConnection, scope: Scope) -> int:
    """How many runs began in `scope`."""
    sql = f"SELECT count(*) FROM runs{scope.where()}"  # noqa: S608 - literals are quoted by Scope
    return int(connection.execute(sql).fetchall()[0][0])


def nearest(connection: duckdb.DuckDBPyConnection, scope: Scope) -> Scope | None:
    """The day of runs nearest to an empty `scope`: before it if there is one, else after it; None without runs."""
    before = Scope(until=scope.since, agent=scope.agent) if scope.since else None
    after = Scope(since=scope.until, agent=scope.agent) if scope.until else None
    last = _edge(connection, "max", before) if before is not None else None
    if last is not None:
        end = _minute(last) + timedelta(minutes=1)
        return Scope(end - _DAY, end, scope.agent)
    first = _edge(connection, "min", after) if after is not None else None
    return Scope(_minute(first), _minute(first) + _DAY, scope.agent) if first is not None else None


def newest(connection: duckdb.DuckDBPyConnection, limit: int) -> tuple[Listed, ...]:
    """The newest runs, latest first."""
    rows = connection.execute(
        "SELECT run_id, ts, agent, outcome FROM runs ORDER BY ts DESC, run_id LIMIT $limit", {"limit": limit}
    ).fetchall()
    return tuple(Listed(run_id, ts.replace(tzinfo=UTC), agent, outcome) for run_id, ts, agent, outcome in rows)


def _edge(connection: duckdb.DuckDBPyConnection, edge: str, scope: Scope) -> datetime | None:
    sql = f"SELECT {edge}(ts) FROM runs{scope.where()}"  # noqa: S608 - literals are quoted by Scope
    return _aware(connection.execute(sql).fetchall()[0][0])


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None else None
