"""When an alert fired last: the window of a link that names the alert and no time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb

# An alert waits until its condition has held for a while, and its expression looks back: the cause is older.
LEAD: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One firing: `since` is LEAD before it began, `until` its end, null while it goes on; `agent` is its label."""

    since: datetime
    until: datetime | None
    agent: str | None


def last(connection: duckdb.DuckDBPyConnection, name: str, agent: str | None) -> Alarm | None:
    """The last firing of the alert `name`, of `agent` or of any; None if the store has none."""
    row = connection.execute(
        """SELECT starts_at, max(ends_at) FILTER (status = 'resolved' AND ends_at > starts_at), any_value(agent)
           FROM alerts
           WHERE name = $name AND starts_at IS NOT NULL AND ($agent IS NULL OR agent = $agent)
           GROUP BY fingerprint, starts_at ORDER BY starts_at DESC, fingerprint LIMIT 1""",
        {"name": name, "agent": agent},
    ).fetchone()
    if row is None:
        return None
    began, ended, named = row
    return Alarm(began.replace(tzinfo=UTC) - LEAD, ended.replace(tzinfo=UTC) if ended else None, named)
