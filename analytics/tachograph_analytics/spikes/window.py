"""The window that is asked about and the time that it is compared with.

One rule: the same hours of the week, in up to four periods before, as far as the data reach. Agents work when people
do, so the hour before says less than the same hour a week ago, and one odd week is averaged out by three others.
Without a whole week of history: the time just before, as long as the window or as far as the data reach.
"""
# ruff: noqa: S608 - Scope quotes its literals

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from tachograph_analytics.runs.scope import Condition, Scope, moment

if TYPE_CHECKING:
    import duckdb

_WEEK: Final = timedelta(weeks=1)
MOST_PERIODS: Final = 4  # a month of weeks: more would reach back to another business
# A shorter stretch just before says nothing about how much is usual in the window's time.
_LEAST_BEFORE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, aware UTC, its end excluded."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.until - self.since

    def sql(self) -> str:
        """The condition that a run began in it."""
        return f"(ts >= {moment(self.since)} AND ts < {moment(self.until)})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A window and its baseline, both of the runs of one agent or all that meet `conditions`.

    `rule` says how the baseline was found: the same hours in the `weeks` before, the time just `before`, or `none`
    where the data do not reach back. `step` is how far its periods are apart.
    """

    window: Span
    baseline: tuple[Span, ...]
    rule: Literal["weeks", "before", "none"]
    step: timedelta
    agent: str | None = None
    conditions: tuple[Condition, ...] = ()

    @property
    def weight(self) -> float:
        """What a sum over the baseline is multiplied with, to be comparable with one over the window."""
        length = sum((span.length for span in self.baseline), timedelta())
        return self.window.length / length if length else 0.0

    @property
    def weight_sql(self) -> str:
        """The weight as a literal; one with a point would be a decimal, and so would all that it touches."""
        return f"{self.weight!r}::DOUBLE"

    @property
    def scope(self) -> Scope:
        """The runs of the window."""
        return Scope(self.window.since, self.window.until, self.agent, self.conditions)

    def where(self) -> str:
        """The WHERE clause for the runs of window and baseline together; those of the window are the later ones."""
        spans = " OR ".join(span.sql() for span in (self.window, *self.baseline))
        return Scope(None, None, self.agent, self.conditions).where(f"({spans})")


def compared(connection: duckdb.DuckDBPyConnection, scope: Scope, end: datetime) -> Comparison:
    """The window of `scope` with its baseline.

    `end` is where the data end: a window without an end, or with a later one, ends there, since time that was not
    recorded would read as time in which nothing was spent. In the same way it begins where the agent's records do.
    """
    first = _first(connection, scope) or end
    until = min(scope.until or end, end)
    window = Span(min(max(scope.since or first, first), until), until)
    step = _WEEK * max(1, math.ceil(window.length / _WEEK))
    found = Comparison(window, (), "none", step, scope.agent, scope.conditions)
    recorded = window.since - first  # before the window; below zero where it is over before the records begin
    periods = tuple(
        Span(window.since - step * n, window.until - step * n)
        for n in range(1, min(MOST_PERIODS, recorded // step) + 1)
    )
    if periods:
        return replace(found, baseline=periods, rule="weeks")
    length = min(window.length, recorded)
    if window.length and length >= _LEAST_BEFORE * window.length:
        before = Span(window.since - length, window.since)
        return replace(found, baseline=(before,), rule="before", step=window.length)
    return found


def _first(connection: duckdb.DuckDBPyConnection, scope: Scope) -> datetime | None:
    """When the agent's records begin, whatever else is asked of its runs: a new tenant has a history of nothing."""
    row = connection.execute(f"SELECT min(ts) FROM runs{Scope(agent=scope.agent).where()}").fetchone()
    return row[0].replace(tzinfo=UTC) if row is not None and row[0] is not None else None
