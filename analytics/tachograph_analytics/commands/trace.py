"""`tachograph trace`: one run as a tree in the terminal."""

from __future__ import annotations

import io
import shutil
import sys
from typing import TYPE_CHECKING

from tachograph.cli import Command
from tachograph.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    import duckdb

    from tachograph_analytics.detections import Finding
    from tachograph_analytics.runs.run import Run
    from tachograph_analytics.runs.steps import Event, Step

_NAMED = 5  # ids that a refusal offers
_TRACE_ID_DIGITS = 32


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="RUN_ID", help="a run's id or the beginning of one, or a trace id")
    parser.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--json", action="store_true", help="an array of steps, times ISO-8601 UTC")
    parser.add_argument("--width", type=int, metavar="N", help="columns to fit into (default: the terminal's)")


def _run(arguments: argparse.Namespace) -> int:
    from tachograph_analytics.detections import detect
    from tachograph_analytics.runs.run import find
    from tachograph_analytics.runs.steps import events, steps
    from tachograph_analytics.store.home import Home
    from tachograph_analytics.store.views import connect, damage_is_a_sentence

    home = Home.at(arguments.home)
    with connect(home) as connection, damage_is_a_sentence(home):
        run_id = _resolved(connection, arguments.id.strip())
        path, happened = steps(connection, run_id), events(connection, run_id)
        found = [finding for finding in detect(connection) if finding.run_id == run_id]
        run = find(connection, run_id)
    if arguments.json:
        print(_as_json(run_id, path, happened, found))
    else:
        _show(_head(run_id, run, path, found), path, happened, found, _width(arguments.width))
    return 0


def _resolved(connection: duckdb.DuckDBPyConnection, given: str) -> str:
    """The one run that `given` means; UsageError with the nearest ids where it means none or several."""
    for condition in ("run_id = $id", "trace_id = lower($id)", "starts_with(run_id, $id)"):
        if condition.startswith("trace_id") and len(given) != _TRACE_ID_DIGITS:
            continue
        rows = connection.execute(
            f"SELECT run_id FROM spans WHERE {condition} AND run_id IS NOT NULL "  # noqa: S608 - our own conditions
            "GROUP BY run_id ORDER BY max(ts) DESC, run_id",
            {"id": given},
        ).fetchall()
        ids: list[str] = [row[0] for row in rows]
        if len(ids) == 1:
            return ids[0]
        if ids and given:
            means = "begin so" if condition.startswith("starts") else "are in that trace"
            raise UsageError(f"{len(ids)} runs {means}, name one in full: {_listed(ids)}")
    raise UsageError(_unknown(connection, given))


def _unknown(connection: duckdb.DuckDBPyConnection, given: str) -> str:
    from tachograph_analytics.runs.extent import newest

    ids = [one.run_id for one in newest(connection, _NAMED)]
    if not ids:
        return f"there is no run {given!r}, nor any other: fill the store with `tachograph demo` or `tachograph up`"
    return f"there is no run and no trace {given!r}; the newest runs are {_listed(ids)}"


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")


def _width(asked: int | None) -> int | None:
    """Columns to fit into; None where nobody looks at a screen: nothing is shortened in a file."""
    if asked is not None:
        return max(asked, 1)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _head(run_id: str, run: Run | None, path: Sequence[Step], found: Sequence[Finding]) -> tuple[list[str], list[str]]:
    """What the run is, and what came of it, in parts that stand on a line as far as they fit."""
    from tachograph_analytics.app.words import duration, many, usd, when

    traces = dict.fromkeys(step.trace_id for step in path if step.trace_id)
    if run is None:
        return [f"run {run_id}", "its own span is not in the data", *(f"trace {one}" for one in traces)], []
    figures = {name: figure.value for name, figure in run.figures.items()}
    about = [
        f"run {run_id}",
        f"agent {run.agent or 'unknown'}",
        *([f"workflow {run.workflow}"] if run.workflow else []),
        *([f"tenant {run.tenant}"] if run.tenant else []),
        *([f"release {run.release}" + (f" ({run.track})" if run.track else "")] if run.release else []),
        *([f"session {run.session}"] if run.session else []),
        *(f"trace {one}" for one in traces),
    ]
    cost = figures["cost"]
    source = f" ({run.cost_source})" if run.cost_source else ""
    came = [
        f"{run.outcome or 'not ended yet'}" + (f", stop reason {run.stop_reason}" if run.stop_reason else ""),
        usd(cost if isinstance(cost, int | float) else None) + source,
        duration(figures["duration_ms"] if isinstance(figures["duration_ms"], int | float) else None),
        f"began {when(run.started)}",
        many(len(found), "finding") if found else "no findings",
    ]
    return about, came


def _show(
    head: tuple[list[str], list[str]],
    path: Sequence[Step],
    happened: Sequence[Event],
    found: Sequence[Finding],
    width: int | None,
) -> None:
    from rich.console import Console
    from rich.text import Text

    from tachograph_analytics.runs.steps import problems
    from tachograph_analytics.runs.tree import lines, nodes, printable, wrapped

    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal that knows no lines or shapes still gets the words
        sys.stdout.reconfigure(errors="replace")  # pyright: ignore[reportUnknownMemberType] - of whatever buffer
    # In colour where the terminal has any and NO_COLOR is not set; the lines fit already.
    console = Console(soft_wrap=True, highlight=False, emoji=False, markup=False)
    for parts in head:
        for line in wrapped(map(printable, parts), width):
            console.print(Text(line))
    for line in lines(nodes(path, happened, problems(path, found)), width):
        console.print(line)
    known = {step.span_id for step in path}
    for finding in found:
        if finding.span_id not in known:
            console.print(Text(f"▲ {printable(finding.summary)}", "bold red"))


def _as_json(run_id: str, path: Sequence[Step], happened: Sequence[Event], found: Sequence[Finding]) -> str:
    from tachograph_analytics.store.query import Answer, as_json

    columns = ("run_id", "trace_id", "span_id", "parent_span_id", "depth", "kind", "name", "ts", "start_ms")
    columns += ("duration_ms", "cost", "problem", "orphan", "findings", "events", "attributes")
    rows = tuple(
        (
            run_id,
            *(getattr(step, column) for column in columns[1:13]),
            [finding.row() for finding in found if finding.span_id == step.span_id],
            [_event(event) for event in happened if event.span_id == step.span_id],
            {**step.attributes, **step.others},
        )
        for step in path
    )
    return as_json(Answer(columns, rows))


def _event(event: Event) -> Mapping[str, object]:
    return {"ts": event.ts, "start_ms": event.start_ms, "name": event.name, "attributes": dict(event.attributes)}


COMMAND = Command(help="print a run as a tree", configure=_configure, run=_run, extra="analytics")
