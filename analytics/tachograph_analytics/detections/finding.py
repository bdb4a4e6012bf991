"""What was found: one fact, with the run and the step that it is about."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from tachograph.registry import load
from tachograph_analytics.detections.catalogue import EXPRESSIONS, sql, views

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    import duckdb

# Where what has no time stands in an order by time.
_LAST: Final = datetime.max.replace(tzinfo=UTC)

Severity = Literal["page", "ticket", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must never happen silently and did.

    `ts` is UTC, with its zone, and None for what came without any time; run and span are None for what happened
    outside of a run.
    """

    rule: str
    pattern: str
    run_id: str | None
    span_id: str | None
    ts: datetime | None
    summary: str
    agent: str | None
    release: str | None
    severity: Severity

    def row(self) -> dict[str, str | None]:
        """The finding as JSON has it: rule, pattern, run_id, span_id, ts in ISO 8601, summary."""
        at = self.ts.isoformat().replace("+00:00", "Z") if self.ts is not None else None
        return {
            "rule": self.rule,
            "pattern": self.pattern,
            "run_id": self.run_id,
            "span_id": self.span_id,
            "ts": at,
            "summary": self.summary,
        }


def detect(
    connection: duckdb.DuckDBPyConnection,
    *,
    rules: Iterable[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Finding]:
    """All findings from `since` (inclusive) to `until` (exclusive), in order of time, rule and span.

    Those without a time come last, and only if no bound is given.

    `connection` comes from `store.views.connect`; `rules` are names of detections, all when None. A time without a
    zone is UTC. UsageError for a rule that does not exist.
    """
    queries = {rule: sql(rule) for rule in (EXPRESSIONS if rules is None else rules)}
    with _at_hand(connection, queries) as cursor:
        found = [finding for rule in queries for finding in _of(cursor, rule, since, until)]
    return sorted(found, key=lambda finding: (finding.ts or _LAST, finding.rule, finding.span_id or ""))


@contextmanager
def _at_hand(connection: duckdb.DuckDBPyConnection, rules: Iterable[str]) -> Generator[duckdb.DuckDBPyConnection]:
    """A connection of its own in which the views of the rules are tables, each computed once and gone afterwards.

    Many rules ask the same views. `spans` has all columns of everything and one rule that asks it: it stays a view.
    """
    with connection.cursor() as cursor:
        for name in sorted({name for rule in rules for name in views(rule)} - {"spans"}):
            cursor.execute(f"CREATE TEMP TABLE {name} AS FROM {name}")
        yield cursor


def _of(
    connection: duckdb.DuckDBPyConnection, rule: str, since: datetime | None, until: datetime | None
) -> list[Finding]:
    bounds = [("ts >= ?", since), ("ts < ?", until)]
    conditions = [condition for condition, at in bounds if at is not None]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    cursor = connection.execute(
        f"SELECT run_id, span_id, ts, summary, agent, release FROM ({sql(rule)}) {where}",  # noqa: S608 - our own SQL
        [_stored(at) for _, at in bounds if at is not None],
    )
    return [_finding(rule, row) for row in cursor.fetchall()]


def _finding(rule: str, row: tuple[Any, ...]) -> Finding:
    run_id, span_id, ts, summary, agent, release = row
    about = load().detections[rule]
    at = ts.replace(tzinfo=UTC) if ts is not None else None
    return Finding(rule, about.pattern, run_id, span_id, at, summary, agent, release, about.severity)


def _stored(at: datetime) -> datetime:
    """A time as the store keeps it: UTC without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
