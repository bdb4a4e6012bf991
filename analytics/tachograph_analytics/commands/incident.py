"""`tachograph incident`: the incidents of a store, and the report of one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tachograph.cli import Command
from tachograph.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from tachograph_analytics.incidents import Incident
    from tachograph_analytics.incidents.report import Report
    from tachograph_analytics.store.home import Home

_LISTED = ("id", "status", "severity", "agent", "opened", "closed", "notes", "title")


def _configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all incidents, those that go on first")
    show = actions.add_parser("show", help="one incident with its timeline and notes")
    export = actions.add_parser("export", help="the report of one incident")
    for one in (show, export):
        one.add_argument("id", help="the incident's id, as `tachograph incident list` shows it")
    for one in (listing, show, export):
        one.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    for one in (listing, show):
        one.add_argument("--json", action="store_true", help="JSON, times ISO-8601 UTC")
    export.add_argument(
        "--format", choices=("markdown", "html", "csv"), help="default: what --output ends with, or markdown"
    )
    export.add_argument("--output", metavar="FILE", help="where the report goes (default: standard output)")
    export.add_argument("--app-url", metavar="URL", help="where the report's links lead (default: this machine's app)")


def _run(arguments: argparse.Namespace) -> int:
    from tachograph_analytics.store.home import Home

    home = Home.at(arguments.home)
    actions = {"list": _list, "show": _show, "export": _export}
    return actions[arguments.action](arguments, home)


def _list(arguments: argparse.Namespace, home: Home) -> int:
    from tachograph_analytics.incidents import listed
    from tachograph_analytics.runs.tree import printable
    from tachograph_analytics.store.query import Answer, as_text
    from tachograph_analytics.store.views import connect

    with connect(home) as connection:
        incidents = listed(connection)
    if arguments.json:
        print(_json([_row(incident) for incident in incidents]))
    elif not incidents:
        print("No incidents: no alert was received here, and nobody opened one.")
    else:
        found = map(_row, incidents)
        rows = tuple(
            tuple(printable(cell) if isinstance(cell, str) else cell for cell in (row[name] for name in _LISTED))
            for row in found
        )
        print(as_text(Answer(_LISTED, rows), shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
    return 0


def _show(arguments: argparse.Namespace, home: Home) -> int:
    report = _report(arguments, home)
    if arguments.json:
        print(_json(_whole(report)))
    else:
        print("\n".join(_lines(report)))
    return 0


def _export(arguments: argparse.Namespace, home: Home) -> int:
    from tachograph_analytics.incidents.export import FORMS

    output = Path(arguments.output) if arguments.output else None
    by_suffix = {form.suffix: name for name, form in FORMS.items()}
    name = arguments.format or by_suffix.get(output.suffix.lower() if output else "", "markdown")
    text = FORMS[name].write(_report(arguments, home))
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        output.write_text(text, "utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}; name another file with --output") from error
    print(f"wrote {output} ({len(text.encode()):,} bytes)")
    return 0


def _report(arguments: argparse.Namespace, home: Home) -> Report:
    from datetime import UTC, datetime

    from tachograph_analytics.app.server import PORT, url
    from tachograph_analytics.incidents.report import made
    from tachograph_analytics.listen import LOOPBACK

    base = getattr(arguments, "app_url", None) or url(LOOPBACK, PORT)
    if not base.startswith(("http://", "https://")):
        raise UsageError(f"{base!r} is no address of the app: --app-url http://127.0.0.1:8501 would be one")
    return made(home, arguments.id, datetime.now(UTC), base)


def _lines(report: Report) -> list[str]:
    from tachograph_analytics.incidents import foreign
    from tachograph_analytics.incidents.report import second
    from tachograph_analytics.runs.tree import printable

    width = max(map(len, report.facts))
    lines = [printable(report.incident.title), ""]
    lines += [f"{name:<{width}}  {printable(value)}" for name, value in (report.facts | report.links).items()]
    lines += [f"\n{name}\n{foreign.printable(words)}" for name, words in report.conclusions.items()]
    lines += ["\nTimeline", *(f"{second(m.at)}  {m.source:<7}  {printable(m.what)}" for m in report.moments)]
    for number, note in enumerate(report.notes, 1):
        lines += [f"\nNote {number}: {printable(note.view.title)}", f"{second(note.at)}  {printable(note.view.url)}"]
        texts = (note.text, report.command(note) if note.view.sql else "")
        lines += [foreign.printable(text) for text in texts if text]  # of several lines
    return lines


def _row(incident: Incident) -> dict[str, Any]:
    """The incident as `list --json` has it."""
    return {
        "id": incident.id,
        "title": incident.title,
        "status": incident.status,
        "severity": incident.severity,
        "agent": incident.agent,
        "alert": incident.name,
        "opened": _iso(incident.since),
        "closed": _iso(incident.until),
        "summary": incident.summary,
        "cause": incident.cause,
        "fix": incident.fix,
        "runbook_url": incident.runbook_url,
        "dashboard_url": incident.dashboard_url,
        "investigate_url": incident.investigate_url,
        "notes": incident.notes,
    }


def _whole(report: Report) -> dict[str, Any]:
    """The incident as `show --json` has it: with its timeline, and its notes in place of their count."""
    return {
        **_row(report.incident),
        "timeline": [
            {"at": _iso(m.at), "source": m.source, "what": m.what, "run_id": m.run_id} for m in report.moments
        ],
        "notes": [
            {
                "id": note.id,
                "at": _iso(note.at),
                "text": note.text,
                "title": note.view.title,
                "url": note.view.url,
                "sql": note.view.sql,
                "columns": note.view.columns,
                "rows": note.view.rows,
                "omitted": note.omitted,
            }
            for note in report.notes
        ],
    }


def _json(value: object) -> str:
    """JSON with letters as they are, and with escapes for all that could steer a terminal: JSON itself allows C1."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text)


def _iso(at: Any) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at is not None else None


COMMAND = Command(help="list, show and export incidents", configure=_configure, run=_run, extra="analytics")
