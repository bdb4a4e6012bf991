"""A report as one CSV file: the rows of the notes as they were seen, and everything else of the report before them.

One file, because a zip of tables is opened by hand one by one; the rows keep their shape, because people open a CSV to
sort and sum them. Each line says its `kind`: keep the lines of kind `row` and the tables are there, those of other
kinds are the report around them.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from tachograph_analytics.incidents.foreign import in_cell
from tachograph_analytics.incidents.report import Report, exact, second

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tachograph_analytics.store.casebook import Cell, Note

HEAD = ("incident", "kind", "note", "row", "at", "text", "link", "sql", "command")


def spreadsheet(report: Report) -> str:
    """The report, UTF-8 with a head line. Columns of notes follow ours under their own names; null is an empty cell.

    A column of a note that is called like one of ours has `rows.` before it. Numbers are exact, with the digits of
    `tachograph query --json`.
    """
    columns = dict.fromkeys(_named(column) for note in report.notes for column in note.view.columns)
    target = io.StringIO()
    writer = csv.DictWriter(target, [*HEAD, *columns], restval="", lineterminator="\r\n")
    writer.writer.writerow([_cell(name) for name in writer.fieldnames])
    for line in _lines(report):
        writer.writerow({name: _cell(value) for name, value in {"incident": report.incident.id, **line}.items()})
    return target.getvalue()


def _lines(report: Report) -> Iterable[Mapping[str, Any]]:
    yield {"kind": "title", "text": report.incident.title}
    for name, value in (report.facts | report.links | report.conclusions).items():
        yield {"kind": name.lower(), "text": value}
    for moment in report.moments:
        yield {"kind": f"timeline {moment.source}", "at": second(moment.at), "text": moment.what, "link": moment.run_id}
    for number, note in enumerate(report.notes, 1):
        yield from _note(report, number, note)


def _note(report: Report, number: int, note: Note) -> Iterable[Mapping[str, Any]]:
    view = note.view
    yield {
        "kind": "note",
        "note": number,
        "at": second(note.at),
        "text": f"{view.title}\n{note.text}".strip(),
        "link": report.address(note) or view.url,
        "sql": view.sql,
        "command": report.command(note) if view.sql else "",
    }
    for place, row in enumerate(view.rows, 1):
        cells = dict(zip(map(_named, view.columns), row, strict=True))
        yield {"kind": "row", "note": number, "row": place, **cells}


def _named(column: str) -> str:
    return f"rows.{column}" if column in HEAD else column


def _cell(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return in_cell(cell)
    return None if cell is None else exact(cell)
