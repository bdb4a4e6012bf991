"""What can be said about which agent: a detection whose hooks an agent never showed says neither clean nor violated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from tachograph.registry import load
from tachograph_analytics.detections.catalogue import compiled
from tachograph_analytics.detections.finding import detect
from tachograph_analytics.detections.tables import hooks

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from tachograph_analytics.detections.finding import Finding

State = Literal["violated", "clean", "not instrumented"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one detection says about one agent; `missing` names the hooks without which it can say nothing."""

    rule: str
    agent: str
    state: State
    missing: tuple[str, ...] = ()


def coverage(connection: duckdb.DuckDBPyConnection, findings: Iterable[Finding] | None = None) -> list[Coverage]:
    """Each agent that was seen with each detection, by agent, then in the registry's order.

    `findings` are those of `detect` over the same connection where the caller has them already.
    """
    shown: dict[str, set[str]] = {}
    for agent, hook in connection.execute(_hooks()).fetchall():
        shown.setdefault(agent, set()).add(hook)
    for (agent,) in connection.execute("SELECT DISTINCT agent FROM runs WHERE agent IS NOT NULL").fetchall():
        shown.setdefault(agent, set())
    found = detect(connection) if findings is None else findings
    violated = {(finding.rule, finding.agent) for finding in found}
    return [
        _coverage(rule, agent, frozenset(known), violated)
        for agent, known in sorted(shown.items())
        for rule in load().detections
    ]


def _coverage(rule: str, agent: str, known: frozenset[str], violated: set[tuple[str, str | None]]) -> Coverage:
    detection = load().detections[rule]
    if not detection.covered_by(known):
        missing = tuple(need for need in detection.needs if not _shows(known, need))
        return Coverage(rule, agent, "not instrumented", missing)
    return Coverage(rule, agent, "violated" if (rule, agent) in violated else "clean")


def _shows(known: frozenset[str], need: str) -> bool:
    return need in known or any(hook.startswith(f"{need}.") for hook in known)


@cache
def _hooks() -> str:
    return compiled(hooks())
