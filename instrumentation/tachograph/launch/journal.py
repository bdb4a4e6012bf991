"""What the process of the program tells `tachograph run`: which runs it recorded, and what it recognised."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tachograph.instrument import flush
from tachograph.registry import names as n
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from tachograph.instrument import Report

_DELIVERY_S = 1.0  # a receiver on this machine takes some milliseconds; this long once where none answers


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run that ended: `outcome` None where it waits for something, `cost` in US dollars or None without a price.

    `sent` is False for one of a forked child that did not see it delivered: the child may end before it is.
    """

    id: str
    agent: str
    outcome: str | None
    cost: float | None
    seconds: float
    sent: bool = True


@dataclass(frozen=True, slots=True)
class Journal:
    """What the process said; `hooked` is None where it did not come to its end, `begun` False where we failed."""

    begun: bool = False
    runs: tuple[RunEntry, ...] = ()
    hooked: int | None = None
    unrecognised: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    report: str = ""


class Writer:
    """Writes the journal, a line at a time; forked children of the program write into the same one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pid = os.getpid()
        self._costs: dict[str, tuple[float, int]] = {}
        self._undelivered: int | None = None  # the process in which a delivery failed: it is not waited for again

    def begun(self) -> None:
        """Notes that the program is recorded from now on."""
        self._write({"begun": True})

    @guarded("instrument", None)
    def on_end(self, span: ReadableSpan) -> None:
        """Takes a span that ended."""
        attributes = span.attributes or {}
        kind, run = attributes.get(n.SPAN_KIND), str(attributes.get(n.RUN_ID))
        if kind == "llm":
            cost, unpriced = self._costs.get(run, (0.0, 0))
            amount = attributes.get(n.COST_AMOUNT)
            priced = isinstance(amount, int | float)
            self._costs[run] = (cost + amount, unpriced) if priced else (cost, unpriced + 1)
        elif kind == "run":
            cost, unpriced = self._costs.pop(run, (0.0, 0))
            seconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
            agent, outcome = attributes.get(n.GEN_AI_AGENT_NAME), attributes.get(n.RUN_OUTCOME)
            self._write({"run": [run, agent, outcome, None if unpriced else cost, seconds, self._sent()]})

    def _sent(self) -> bool:
        """Whether a run that has just ended is delivered; the process of the program delivers at its end.

        A forked child may never come to that: the workers of a pool are killed, the others end past atexit.
        """
        pid = os.getpid()
        if pid == self._pid:
            return True
        if pid == self._undelivered:
            return False
        delivered = flush(_DELIVERY_S)
        self._undelivered = None if delivered else pid
        return delivered

    @guarded("instrument", None)
    def ended(self, report: Report | None, mapping: dict[str, str]) -> None:
        """Notes what was recognised, at the end of the program itself."""
        if report is None or os.getpid() != self._pid:
            return
        hooked = {hooked.name for hooked in report.hooked} | {f"{h.where}.{h.name}" for h in report.hooked}
        unmet = [own for own in mapping if own not in hooked and not any(each.endswith("." + own) for each in hooked)]
        self._write(
            {
                "hooked": len(report.hooked),
                "unrecognised": list(report.unrecognised),
                "unmet": unmet,
                "report": str(report),
            }
        )

    def _write(self, entry: dict[str, Any]) -> None:
        line = (json.dumps(entry) + "\n").encode()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)  # no O_CREAT: who reads it may be gone
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def read(path: Path) -> Journal:
    """What stands in a journal; a line that was cut off by the program's end is passed over."""
    found: dict[str, Any] = {}
    runs: dict[str, RunEntry] = {}
    for entry in _entries(path):
        if "run" in entry:
            run = RunEntry(*entry["run"])
            runs.pop(run.id, None)  # a run that waited and went on ends once, last
            runs[run.id] = run
        found |= entry
    return Journal(
        bool(found.get("begun")),
        tuple(runs.values()),
        found.get("hooked"),
        tuple(found.get("unrecognised", ())),
        tuple(found.get("unmet", ())),
        found.get("report", ""),
    )


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text("utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
