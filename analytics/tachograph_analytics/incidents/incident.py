"""One incident: what opened it, how it stands, and what people found out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

# An alert's incident is firing or resolved, as the alert is; one that somebody opened by hand is open or closed.
Status = Literal["firing", "resolved", "open", "closed"]

_INCIDENTS = """
    SELECT id, title, status, severity, agent, name, opened_at, closed_at, cause, fix, notes,
      annotations['summary'], annotations['description'], annotations['runbook_url'], annotations['dashboard_url'],
      annotations['investigate_url']
    FROM incidents"""
_ORDER = " ORDER BY status NOT IN ('firing', 'open'), opened_at DESC, id"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident; `since` and `until` are aware UTC, `until` is null while it goes on.

    `id` is the alert's fingerprint, or `i-` and eight hex digits. `title` is what people called it, else the alert's
    summary, else its name; `name` is the alert's, null where there is none. The texts from `summary` on are the alert's
    annotations, foreign text. `notes` counts them.
    """

    id: str
    title: str
    status: Status
    severity: str | None
    agent: str | None
    name: str | None
    since: datetime | None
    until: datetime | None
    cause: str | None
    fix: str | None
    notes: int
    summary: str | None
    description: str | None
    runbook_url: str | None
    dashboard_url: str | None
    investigate_url: str | None

    @property
    def ongoing(self) -> bool:
        """Whether it is not over yet."""
        return self.status in {"firing", "open"}

    @property
    def by_hand(self) -> bool:
        """Whether somebody opened it: such a one is also closed by hand."""
        return self.status in {"open", "closed"}


def find(connection: duckdb.DuckDBPyConnection, incident_id: str) -> Incident | None:
    """The incident with this id; None if the store has none."""
    row = connection.execute(f"{_INCIDENTS} WHERE id = $id", {"id": incident_id}).fetchone()
    return _incident(row) if row is not None else None


def listed(connection: duckdb.DuckDBPyConnection) -> tuple[Incident, ...]:
    """All incidents: those that go on before those that are over, each the newest first."""
    return tuple(_incident(row) for row in connection.execute(_INCIDENTS + _ORDER).fetchall())


def _incident(row: Sequence[Any]) -> Incident:
    incident_id, title, status, severity, agent, name, since, until, *rest = row
    return Incident(incident_id, title, status, severity, agent, name, _aware(since), _aware(until), *rest)


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None else None
