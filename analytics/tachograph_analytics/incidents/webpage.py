"""A report as one HTML file that needs nothing else: it can be mailed, kept and printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tachograph_analytics.incidents.foreign import in_html, is_link
from tachograph_analytics.incidents.report import Report, exact, said, second

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tachograph_analytics.store.casebook import Note

# No scripts, no pictures, nothing from elsewhere, even if something were let through.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
caption { text-align: left; font-weight: 600; }
th, td { border: 1px solid #888; padding: .25rem .6rem; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { padding: .75rem; border: 1px solid #888; white-space: pre-wrap; overflow-wrap: anywhere; }
.text { white-space: pre-wrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; }
"""


def webpage(report: Report) -> str:
    """The report; texts of agents, alerts and people appear literally, whatever markup they hold."""
    title = in_html(report.incident.title)
    facts = [(name, in_html(value)) for name, value in report.facts.items()]
    facts += [(name, _link(url, url)) for name, url in report.links.items()]
    body = [
        f"<h1>{title}</h1>",
        "<dl>",
        *(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts),
        "</dl>",
    ]
    for name, words in report.conclusions.items():
        body += [f"<h2>{name}</h2>", _text(words)]
    body += ["<h2>Timeline</h2>", _timeline(report), "<h2>Notes</h2>", *([] if report.notes else ["<p>None.</p>"])]
    for number, note in enumerate(report.notes, 1):
        body += _note(report, number, note)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style></head>",
            "<body>",
            *body,
            "</body></html>\n",
        ]
    )


def _timeline(report: Report) -> str:
    rows = [
        [f"<td>{in_html(t)}</td>" for t in (second(m.at), m.source, m.what, m.run_id or "")] for m in report.moments
    ]
    return _table("What happened, in order of time", ("Time", "Source", "What", "Run"), rows)


def _note(report: Report, number: int, note: Note) -> Iterable[str]:
    view = note.view
    yield f"<section><h3>Note {number}: {in_html(view.title)}</h3>"
    yield f"<p>{second(note.at)} · seen at {_link(report.address(note), view.url)}</p>"
    yield _text(note.text) if note.text else ""
    if view.columns:
        yield _table(f"Rows of note {number}", view.columns, [list(map(_cell, row)) for row in view.rows])
    yield f"<p>{said(note.omitted)}</p>" if note.omitted else ""
    if view.sql:
        yield f"<pre><code>{in_html(view.sql)}</code></pre>"
        yield f"<p>Ask again:</p><pre><code>{in_html(report.command(note))}</code></pre>"
    yield "</section>"


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    heads = "".join(f'<th scope="col">{in_html(name)}</th>' for name in head)
    body = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f"<table><caption>{caption}</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _cell(cell: str | float | None) -> str:
    kind = "" if isinstance(cell, str) or cell is None else ' class="number"'
    return f"<td{kind}>{in_html(exact(cell))}</td>"


def _text(words: str) -> str:
    return f'<p class="text">{in_html(words)}</p>'


def _link(address: str | None, words: str) -> str:
    if not is_link(address):
        return in_html(words)
    return f'<a href="{in_html(address or "")}" rel="noopener noreferrer">{in_html(words)}</a>'
