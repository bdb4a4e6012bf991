"""What happened around an incident, in order of time: the alert, releases, gates, and what people noted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from tachograph.registry import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

    from tachograph_analytics.incidents.incident import Incident
    from tachograph_analytics.store.casebook import Note

Source = Literal["alert", "person", "release", "gate", "note"]

# What may have led to an incident: the longest that an alert of ours compares with is the day before.
LEAD: Final = timedelta(days=1)

# Alertmanager repeats a notification while an alert fires: one firing is one beginning.
_FIRINGS = """
    SELECT coalesce(starts_at, min(received_at)), max(coalesce(ends_at, received_at)) FILTER (status = 'resolved')
    FROM alerts WHERE fingerprint = $id GROUP BY starts_at"""

# A release shows in the runs that it served, or where the agent was told of it outside of any run.
_RELEASES = f"""
    SELECT min(ts), arg_min(run_id, ts), agent, release, track
    FROM (
      SELECT ts, run_id, agent, release, track FROM runs
      UNION ALL SELECT ts, run_id, agent, release, track FROM events WHERE name = '{names.EVENT_RELEASE_ASSIGNED}')
    WHERE release IS NOT NULL AND ($agent IS NULL OR agent = $agent)
    GROUP BY agent, release, track ORDER BY 1"""  # noqa: S608 - a name of the registry

# A gate that decides the same night after night is told once, and again when it decides otherwise.
_GATES = """
    SELECT ts, run_id, gate, verdict, decision, release, observed, baseline, threshold, samples FROM gates
    WHERE ts >= $since AND ts <= $until AND ($agent IS NULL OR agent IS NULL OR agent = $agent)
    QUALIFY (verdict, decision) IS DISTINCT FROM
      lag((verdict, decision)) OVER (PARTITION BY agent, release, gate ORDER BY ts)
    ORDER BY ts, release, gate"""


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened, who says so, and the run that shows it where there is one; `at` is aware UTC."""

    at: datetime
    source: Source
    what: str
    run_id: str | None = None


def timeline(
    connection: duckdb.DuckDBPyConnection, incident: Incident, notes: Sequence[Note], now: datetime
) -> tuple[Moment, ...]:
    """The moments from a day before the incident until its end, or until `now` while it goes on.

    Beyond that: every firing of its alert, every note, and the last release before those days, however old.
    """
    since, until = (incident.since or now) - LEAD, incident.until or now
    moments = [
        *_opened(connection, incident),
        *_releases(connection, incident.agent, since, until),
        *_gates(connection, incident.agent, since, until),
        *(Moment(note.at, "note", f"Note {number}: {note.view.title}") for number, note in enumerate(notes, 1)),
    ]
    return tuple(sorted(moments, key=lambda moment: (moment.at, moment.source, moment.what)))


def _opened(connection: duckdb.DuckDBPyConnection, incident: Incident) -> Iterable[Moment]:
    if incident.by_hand:
        if incident.since:
            yield Moment(incident.since, "person", "Opened by hand")
        if incident.until:
            yield Moment(incident.until, "person", "Closed by hand")
        return
    for began, ended in connection.execute(_FIRINGS, {"id": incident.id}).fetchall():
        yield Moment(_aware(began), "alert", f"{incident.name or 'The alert'} began to fire")
        if ended:
            yield Moment(_aware(ended), "alert", f"{incident.name or 'The alert'} was resolved")


def _releases(
    connection: duckdb.DuckDBPyConnection, agent: str | None, since: datetime, until: datetime
) -> Iterable[Moment]:
    rows = connection.execute(_RELEASES, {"agent": agent}).fetchall()
    moments = [
        Moment(
            _aware(at),
            "release",
            f"Release {release}{f' ({track})' if track else ''} of {of or 'unknown'}: first seen",
            run,
        )
        for at, run, of, release, track in rows
    ]
    before = [moment for moment in moments if moment.at < since]
    return [*before[-1:], *(moment for moment in moments if since <= moment.at <= until)]


def _gates(
    connection: duckdb.DuckDBPyConnection, agent: str | None, since: datetime, until: datetime
) -> Iterable[Moment]:
    asked = {"since": _zoneless(since), "until": _zoneless(until), "agent": agent}
    for at, run_id, *facts in connection.execute(_GATES, asked).fetchall():
        yield Moment(_aware(at), "gate", _decided(*facts), run_id)


def _decided(gate: str | None, verdict: str | None, decision: str | None, release: str | None, *numbers: Any) -> str:
    about = f" for release {release}" if release else ""
    compared = zip(("observed", "baseline", "threshold", "samples"), numbers, strict=True)
    facts = [f"{name} {value:.4g}" for name, value in compared if value is not None]
    decided = [f"decision {decision}"] if decision else []
    return f"Gate {gate or 'unnamed'}{about}: {', '.join([verdict or 'no verdict', *decided, *facts])}"


def _aware(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)


def _zoneless(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
