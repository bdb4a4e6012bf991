"""What was spent when: cost, runs and successes in equal steps of time."""
# ruff: noqa: S608 - Scope quotes its literals

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tachograph_analytics.runs import estimate
from tachograph_analytics.runs.scope import Scope, moment

if TYPE_CHECKING:
    import duckdb

# Each divides the next and a day, so that a step never straddles midnight.
WIDTHS: Final = (
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
)
MOST_BARS: Final = 170  # a week of hours; more bars than that are hairlines on a laptop's screen


@dataclass(frozen=True, slots=True)
class Bucket:
    """One step of time from `ts` on (aware UTC): US dollars, runs that began in it, and those that succeeded.

    Where runs were sampled they are estimates of what there was.
    """

    ts: datetime
    cost: float
    runs: int
    successes: int


@dataclass(frozen=True, slots=True)
class Spend:
    """All buckets of a range, also those without a run, each `width` long, and the query that gives them."""

    width: timedelta
    buckets: tuple[Bucket, ...]
    sql: str


def width_of(length: timedelta) -> timedelta:
    """The narrowest step that cuts a range of this length into at most MOST_BARS."""
    return next((width for width in WIDTHS if length <= width * MOST_BARS), WIDTHS[-1])


def floor(at: datetime, width: timedelta) -> datetime:
    """The beginning of the step that `at` is in."""
    seconds = int(width.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)


def spend(connection: duckdb.DuckDBPyConnection, scope: Scope, since: datetime, until: datetime) -> Spend:
    """The spend of the runs in `scope`, its own range aside, from the step that has `since` on until `until`."""
    width = width_of(until - since)
    first = floor(since, width)
    step = f"INTERVAL {int(width.total_seconds() // 60)} MINUTE"
    within = replace(scope, since=first, until=until)
    runs, whole = estimate.runs, estimate.whole
    sql = f"""SELECT step.ts, round(coalesce({estimate.total("cost")}, 0), 6) AS cost,
  {whole(runs("run_id IS NOT NULL"))} AS runs,
  {whole(runs("outcome = 'success'"))} AS successes
FROM (SELECT unnest(range({moment(first)}, {moment(until)}, {step})) AS ts) AS step
LEFT JOIN (
  SELECT time_bucket({step}, ts) AS ts, run_id, cost, outcome, sample_rate FROM runs{within.where()}
) AS run ON run.ts = step.ts
GROUP BY ALL ORDER BY ALL"""
    rows = connection.execute(sql).fetchall()
    return Spend(width, tuple(Bucket(ts.replace(tzinfo=UTC), *rest) for ts, *rest in rows), sql)
