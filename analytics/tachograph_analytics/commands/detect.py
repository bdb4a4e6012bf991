"""`tachograph detect`: what must never happen silently and did, and what nobody could have seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tachograph.cli import Command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from datetime import datetime

    from tachograph_analytics.detections import Coverage, Finding, Group


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--rule", action="append", metavar="NAME", help="only this detection; may be given again")
    answer = parser.add_mutually_exclusive_group()
    answer.add_argument("--json", action="store_true", help="an array of findings, times ISO-8601 UTC")
    answer.add_argument("--sql", action="store_true", help="print the queries instead of running them")


def _run(arguments: argparse.Namespace) -> int:
    from tachograph_analytics.detections import coverage, detect, rules, sql
    from tachograph_analytics.store.home import Home
    from tachograph_analytics.store.memory import hold
    from tachograph_analytics.store.views import connect, damage_is_a_sentence

    wanted = tuple(dict.fromkeys(arguments.rule or rules()))
    queries = {rule: sql(rule) for rule in wanted}
    if arguments.sql:
        print("\n\n".join(f"-- {rule}\n{query};" for rule, query in queries.items()))
        return 0
    home = Home.at(arguments.home)
    with connect(home) as connection, damage_is_a_sentence(home):
        hold(connection, home)
        found = detect(connection, rules=wanted)
        if arguments.json:
            print(json.dumps([finding.row() for finding in found], ensure_ascii=False))
            return 0
        _show(found, [one for one in coverage(connection, found) if one.rule in wanted])
    return 0


def _show(found: list[Finding], known: list[Coverage]) -> None:
    from tachograph_analytics.detections import grouped

    groups = grouped(found)
    for group in groups:
        print("\n".join(_lines(group)))
    if not groups:
        print("No findings." if known else "No findings: no agent has ended a run in this store yet.")
    blind = [one for one in known if one.state == "not instrumented"]
    if blind:
        print("\nNot instrumented, so neither clean nor violated:")
        for agent in dict.fromkeys(one.agent for one in blind):
            print(_blind_spots(agent, [one for one in blind if one.agent == agent]))


def _lines(group: Group) -> tuple[str, str, str]:
    """A group in three lines: what it is, its sentence, and when and where it was seen."""
    releases = f" · release {', '.join(group.releases)}" if group.releases else ""
    seen = f"first {_second(group.first_seen)}, last {_second(group.last_seen)} UTC" if group.last_seen else "no time"
    newest = f" · newest run {group.examples[0]}" if group.examples else ""
    head = f"{group.severity:<6} {group.rule} · agent {group.agent}{releases}"
    return head, f"       {group.sentence}", f"       {seen}{newest}"


def _second(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at is not None else "unknown"


def _blind_spots(agent: str, blind: Sequence[Coverage]) -> str:
    """One line an agent: each detection with the hooks that it lacks."""
    return f"  {agent}: " + ", ".join(f"{one.rule} (needs {', '.join(one.missing)})" for one in blind)


COMMAND = Command(help="find what must never happen silently", configure=_configure, run=_run, extra="analytics")
