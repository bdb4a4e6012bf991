# ruff: noqa: S608 - the names in the SQL are our own
"""The view `incidents`: what alerts opened, from the stored alerts, and what people wrote, from the casebook."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from tachograph_analytics.store import schema
from tachograph_analytics.store.casebook import Casebook

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

    from tachograph_analytics.store.home import Home

# A table of the casebook's entries inside of DuckDB, which can fetch no extension that reads SQLite.
_CASEBOOK = {
    "id": schema.TEXT,
    "opened_at": schema.TIME,
    "closed_at": schema.TIME,
    "agent": schema.TEXT,
    "title": schema.TEXT,
    "cause": schema.TEXT,
    "fix": schema.TEXT,
    "notes": schema.INTEGER,
}

_WRITTEN = "written.cause, written.fix, coalesce(written.notes, 0) AS notes"


def statements(head: Sequence[str]) -> Iterable[str]:
    """The table that `refresh` fills and the view over it and `alerts`; `head` is what every view starts with."""
    yield f"CREATE TABLE stored_casebook ({', '.join(f'{name} {kind}' for name, kind in _CASEBOOK.items())})"
    yield f"CREATE VIEW incidents AS {_of_alerts(head)} UNION ALL BY NAME {_of_people(head)}"


def refresh(connection: duckdb.DuckDBPyConnection, home: Home) -> int:
    """Takes over what people have written until now; gives the casebook's count of changes."""
    written = Casebook(home).written()
    columns = ", ".join(f"unnest(${name}::{kind}[])" for name, kind in _CASEBOOK.items())
    values = {name: [_zoneless(getattr(entry, name)) for entry in written.entries] for name in _CASEBOOK}
    # In one transaction: whoever asks meanwhile sees all of the old or all of the new.
    connection.begin()
    connection.execute("DELETE FROM stored_casebook")
    connection.execute(f"INSERT INTO stored_casebook SELECT {columns}", values)
    connection.commit()
    return written.changes


def _of_alerts(head: Sequence[str]) -> str:
    """One row a fingerprint, with the latest that was said of it."""
    own = ", ".join(f"latest.{name}" for name in head if name != "ts")
    # An alert of the severity none says that alerting itself is alive: a notification, never an incident.
    return f"""
        SELECT coalesce(starts_at, received_at) AS ts, {own}, fingerprint AS id,
          coalesce(written.title, annotations['summary'], name, 'alert') AS title, status,
          labels['severity'] AS severity, coalesce(starts_at, received_at) AS opened_at,
          CASE WHEN status = 'resolved' THEN coalesce(ends_at, received_at) END AS closed_at,
          fingerprint, name, labels, annotations, {_WRITTEN}, starts_at, ends_at, generator_url, received_at
        FROM (
          FROM alerts WHERE labels['severity'] IS DISTINCT FROM 'none'
          QUALIFY row_number() OVER (
            PARTITION BY fingerprint ORDER BY received_at DESC, starts_at DESC, status = 'resolved' DESC) = 1
        ) AS latest LEFT JOIN stored_casebook AS written ON written.id = latest.fingerprint"""


def _of_people(head: Sequence[str]) -> str:
    nothing = ", ".join(f"NULL::VARCHAR AS {name}" for name in head if name not in {"ts", "agent"})
    return f"""
        SELECT opened_at AS ts, {nothing}, agent, id, title, if(closed_at IS NULL, 'open', 'closed') AS status,
          opened_at, closed_at, {_WRITTEN}
        FROM stored_casebook AS written WHERE opened_at IS NOT NULL"""


def _zoneless(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value
