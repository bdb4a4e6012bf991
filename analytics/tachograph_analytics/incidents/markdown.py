"""A report as Markdown, for a wiki, an issue or a pull request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tachograph_analytics.incidents.foreign import in_block, in_code, in_markdown, is_link, printable
from tachograph_analytics.incidents.report import Report, exact, said, second

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tachograph_analytics.store.casebook import Cell, Note


def markdown(report: Report) -> str:
    """The report; texts of agents, alerts and people appear literally, whatever Markdown they hold."""
    blocks = [
        f"# {in_markdown(report.incident.title)}",
        "\n".join(f"- **{name}:** {in_markdown(value)}" for name, value in report.facts.items()),
        "\n".join(f"- **{name}:** {_link(url)}" for name, url in report.links.items()),
    ]
    for name, words in report.conclusions.items():
        blocks += [f"## {name}", _paragraph(words)]
    blocks += ["## Timeline", _timeline(report)]
    blocks += ["## Notes", *([] if report.notes else ["None."])]
    for number, note in enumerate(report.notes, 1):
        blocks += _note(report, number, note)
    return "\n\n".join(block for block in blocks if block) + "\n"


def _timeline(report: Report) -> str:
    moments = [(second(m.at), m.source, in_markdown(m.what), in_code(m.run_id or "")) for m in report.moments]
    return _table(("Time", "Source", "What", "Run"), moments)


def _note(report: Report, number: int, note: Note) -> Iterable[str]:
    view = note.view
    yield f"### Note {number}: {in_markdown(view.title)}"
    address = report.address(note)
    where = f"[{in_markdown(view.url)}]({address})" if address else in_markdown(view.url)
    yield f"{second(note.at)} · seen at {where}"
    yield _paragraph(note.text)
    if view.columns:
        yield _table([in_code(column) for column in view.columns], [list(map(_cell, row)) for row in view.rows])
    yield said(note.omitted)
    if view.sql:
        yield in_block(view.sql, "sql")
        yield "Ask again:"
        yield in_block(report.command(note), "sh")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(cell: Cell) -> str:
    return in_code(cell) if isinstance(cell, str) else exact(cell)


def _paragraph(text: str) -> str:
    """Lines stay lines; an empty one parts paragraphs."""
    paragraphs = re.split(r"\n\s*\n", printable(text).strip())
    return "\n\n".join("\\\n".join(map(in_markdown, paragraph.split("\n"))) for paragraph in paragraphs)


def _link(url: str) -> str:
    return f"<{url}>" if is_link(url) else in_code(url)
