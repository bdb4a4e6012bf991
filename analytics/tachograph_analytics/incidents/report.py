"""The report of an incident: its facts once, for every form in which it is written."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tachograph.errors import UsageError
from tachograph_analytics.incidents.foreign import is_own_link
from tachograph_analytics.incidents.incident import Incident, find, listed
from tachograph_analytics.incidents.timeline import Moment, timeline
from tachograph_analytics.store.casebook import Casebook, Cell, Note
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

    from tachograph_analytics.store.home import Home

# Word and shape for each status: both say it without colour.
STATUS_WORDS: Final[Mapping[str, str]] = {
    "firing": "▲ Firing",
    "open": "▲ Open",
    "resolved": "✓ Resolved",
    "closed": "✓ Closed",
}
_NOTHING_YET = "Not written yet."


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report says. `made_at` is aware UTC; `app_url` is where the links to the app's pages lead."""

    incident: Incident
    notes: tuple[Note, ...]
    moments: tuple[Moment, ...]
    made_at: datetime
    home: Home
    app_url: str

    @property
    def facts(self) -> dict[str, str]:
        """The head of the report, name and value, in order; those that nobody knows are left out."""
        incident = self.incident
        known = {
            "Status": STATUS_WORDS[incident.status],
            "Severity": incident.severity,
            "Opened": second(incident.since),
            "Closed": second(incident.until),
            "Agent": incident.agent,
            "Alert": incident.name,
            "Summary": incident.summary,
            "Description": incident.description,
            "Incident": incident.id,
            "Exported": second(self.made_at),
        }
        return {name: value for name, value in known.items() if value}

    @property
    def links(self) -> dict[str, str]:
        """The addresses that its alert came with, name and address; what they are is the reader's to judge."""
        incident = self.incident
        known = {
            "Runbook": incident.runbook_url,
            "Dashboard": incident.dashboard_url,
            "Investigate": incident.investigate_url,
        }
        return {name: url for name, url in known.items() if url}

    @property
    def conclusions(self) -> dict[str, str]:
        """Cause and fix as people wrote them, any number of lines."""
        return {"Cause": self.incident.cause or _NOTHING_YET, "Fix": self.incident.fix or _NOTHING_YET}

    def address(self, note: Note) -> str | None:
        """Where the view of a note can be seen again; None where its link is none of the app's."""
        return f"{self.app_url}{note.view.url}" if is_own_link(note.view.url) else None

    def command(self, note: Note) -> str:
        """The command line that asks again for what a note shows."""
        return again(self.home, note.view.sql)


def made(home: Home, incident_id: str, now: datetime, app_url: str) -> Report:
    """The report of an incident as the store has it now; UsageError if there is none of this id."""
    with connect(home) as connection:
        return gathered(connection, required(connection, incident_id), home, now, app_url)


def gathered(
    connection: duckdb.DuckDBPyConnection, incident: Incident, home: Home, now: datetime, app_url: str
) -> Report:
    """The report of an incident that was looked up before."""
    notes = Casebook(home).notes(incident.id)
    moments = timeline(connection, incident, notes, now)
    return Report(incident, notes, moments, now, home, app_url.rstrip("/"))


def required(connection: duckdb.DuckDBPyConnection, incident_id: str) -> Incident:
    """The incident with this id; UsageError with the ids that there are if there is none."""
    incident = find(connection, incident_id)
    if incident is None:
        ids = [one.id for one in listed(connection)]
        there = f"there are {', '.join(ids)}" if ids else "there are none in this store yet"
        raise UsageError(
            f"there is no incident {incident_id!r}: {there}; `tachograph incident list` says what they are"
        )
    return incident


def again(home: Home, sql: str) -> str:
    """The command line that asks a store this question, whatever signs are in it."""
    return f"tachograph query --home {shlex.quote(str(home.path))} --json {shlex.quote(sql)}"


def exact(cell: Cell) -> str:
    """A cell without loss: numbers with all digits that `tachograph query --json` gives, null as null."""
    return cell if isinstance(cell, str) else json.dumps(cell)


def second(at: datetime | None) -> str:
    """A moment in UTC, to the second; nothing where there is none."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at is not None else ""


def said(omitted: int) -> str:
    """What stands below a table that is longer than what was kept."""
    return f"{omitted:,} more rows were seen and not kept; the SQL gives all." if omitted else ""
