"""Which runs are meant: a range of time, perhaps one agent, and more conditions, as SQL that can be pasted anywhere."""
# ruff: noqa: S608 - literals are quoted here, everything else is said here

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from tachograph_analytics.runs.attribute import BY_NAME


@dataclass(frozen=True, slots=True)
class Condition:
    """Runs whose `column` has this value (null: none was recorded), or all others where it is `negated`.

    `column` is the name of an attribute of runs (`runs.attribute`), or a column of the view that the SQL asks.
    """

    column: str
    value: str | None
    negated: bool = False

    def sql(self) -> str:
        """The condition over a view that has the column."""
        known = BY_NAME.get(self.column)
        column = known.sql if known else '"' + self.column.replace('"', '""') + '"'
        operator = "IS DISTINCT FROM" if self.negated else "IS NOT DISTINCT FROM"
        return f"{column} {operator} {'NULL' if self.value is None else text(self.value)}"


@dataclass(frozen=True, slots=True)
class Scope:
    """Runs that began at `since` or later and before `until` (aware times, null: no bound), of `agent` or of all.

    All `conditions` hold; each is about a column of the view that the SQL asks. `within`: only what belongs to the
    runs of that scope, for views of calls and events.
    """

    since: datetime | None = None
    until: datetime | None = None
    agent: str | None = None
    conditions: tuple[Condition, ...] = ()
    within: Scope | None = None

    def where(self, *more: str) -> str:
        """The WHERE clause with `more` conditions; empty where nothing is asked for."""
        conditions = [
            *([f"ts >= {moment(self.since)}"] if self.since else []),
            *([f"ts < {moment(self.until)}"] if self.until else []),
            *([f"agent = {text(self.agent)}"] if self.agent is not None else []),
            *(condition.sql() for condition in self.conditions),
            *([f"run_id IN (SELECT run_id FROM runs{self.within.where()})"] if self.within else []),
            *more,
        ]
        return f"\nWHERE {' AND '.join(conditions)}" if conditions else ""

    def of_calls(self) -> Scope:
        """The same runs, for a view of calls or events: its columns may mean another thing under the same name."""
        return Scope(within=self)


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def moment(value: datetime) -> str:
    """A timestamp literal; the store's times are UTC without a zone."""
    return f"TIMESTAMP '{value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}'"
