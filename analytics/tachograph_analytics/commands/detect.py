"""`tachograph detect`: what must never happen silently and did, and what nobody could have seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tachograph.cli import Command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from tachograph_analytics.detections import Coverage, Finding


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--rule", action="append", metavar="NAME", help="only this detection; may be given again")
    answer = parser.add_mutually_exclusive_group()
    answer.add_argument("--json", action="store_true", help="an array of findings, times ISO-8601 UTC")
    answer.add_argument("--sql", action="store_true", help="print the queries instead of running them")


def _run(arguments: argparse.Namespace) -> int:
    from tachograph_analytics.detections import coverage, detect, rules, sql
    from tachograph_analytics.store.home import Home
    from tachograph_analytics.store.views import connect

    wanted = tuple(dict.fromkeys(arguments.rule or rules()))
    queries = {rule: sql(rule) for rule in wanted}
    if arguments.sql:
        print("\n\n".join(f"-- {rule}\n{query};" for rule, query in queries.items()))
        return 0
    with connect(Home.at(arguments.home)) as connection:
        found = detect(connection, rules=wanted)
        if arguments.json:
            print(json.dumps([finding.row() for finding in found], ensure_ascii=False))
            return 0
        _show(found, [one for one in coverage(connection, found) if one.rule in wanted])
    return 0


def _show(found: list[Finding], known: list[Coverage]) -> None:
    from rich.console import Console

    console = Console()
    if found:
        _show_groups(console, found)
    else:
        console.print("No findings." if known else "No findings: no agent has ended a run in this store yet.")
    blind = [one for one in known if one.state == "not instrumented"]
    if blind:
        console.print("\nNot instrumented, so neither clean nor violated:")
        for agent in dict.fromkeys(one.agent for one in blind):
            console.print(_blind_spots(agent, [one for one in blind if one.agent == agent]), markup=False)


def _show_groups(console: Console, found: list[Finding]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from tachograph_analytics.detections import grouped

    table = Table()
    for header in ("rule", "agent", "release", "count", "first, last seen (UTC)", "what", "newest run"):
        table.add_column(header, overflow="fold")
    for group in grouped(found):
        seen = f"{group.first_seen:%Y-%m-%d %H:%M:%S}\n{group.last_seen:%Y-%m-%d %H:%M:%S}"
        newest = group.examples[0] if group.examples else ""
        cells = (group.rule, group.agent or "", group.release or "", str(group.count), seen, group.sentence, newest)
        table.add_row(*map(escape, cells))
    console.print(table)


def _blind_spots(agent: str, blind: Sequence[Coverage]) -> str:
    """One line an agent: each detection with the hooks that it lacks."""
    return f"  {agent}: " + ", ".join(f"{one.rule} (needs {', '.join(one.missing)})" for one in blind)


COMMAND = Command(help="find what must never happen silently", configure=_configure, run=_run, extra="analytics")
