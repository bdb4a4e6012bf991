"""The incidents that go on now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Incident:
    """One alert that fires; `since` is aware UTC, the texts are those of its annotations, null where it has none."""

    fingerprint: str
    name: str
    since: datetime | None
    agent: str | None
    severity: str | None
    summary: str | None
    runbook_url: str | None


def firing(connection: duckdb.DuckDBPyConnection) -> tuple[Incident, ...]:
    """The incidents whose alert fires, the newest first."""
    rows = connection.execute(
        """SELECT fingerprint, coalesce(name, 'alert'), starts_at, agent, labels['severity'], annotations['summary'],
                  annotations['runbook_url']
           FROM incidents WHERE status = 'firing' ORDER BY starts_at DESC, fingerprint"""
    ).fetchall()
    return tuple(
        Incident(fingerprint, name, since.replace(tzinfo=UTC) if since else None, *rest)
        for fingerprint, name, since, *rest in rows
    )
