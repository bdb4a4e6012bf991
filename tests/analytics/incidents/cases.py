"""A home with one incident of an alert: releases, a gate, a note, and foreign text that wants to be more than text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.app.recorded import append, bodies

import tachograph
from tachograph.testing import SteppingClock, recording
from tachograph_analytics.incidents.report import made
from tachograph_analytics.store.casebook import Casebook, View
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.query import as_json, query
from tachograph_analytics.store.segment import Signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tachograph_analytics.incidents.report import Report

NOON = datetime(2026, 3, 13, 12, 0, tzinfo=UTC)
FINGERPRINT = "abc123"
APP = "http://127.0.0.1:8501"
COSTS = "SELECT release, outcome, cost, input_tokens FROM runs\nWHERE agent = 'support' ORDER BY cost, release"

# Each would do something if it were let through as it is.
EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[x](javascript:alert(1)) ![y](https://evil.example/p.png)",
    "https://evil.example/a www.evil.example me@evil.example <https://evil.example>",
    "a | b\n\n# heading\n- list\n```\n~~~\n<b>",
    "```\n<script>x</script>",
    '=HYPERLINK("https://evil.example")',
    " +1+1",
    "@SUM(A1)",
    "\t-2+3",
    "`tick` ``ticks``",
    "left \u202e right",
    "**bold** _em_ ~~gone~~ $x$ &copy; \\",
)


def run_of(release: str, cost: float, track: str = "stable") -> None:
    with (
        tachograph.run("support", workflow="billing", tenant="acme", release=release, track=track, id=f"run-{release}"),
        tachograph.llm_call("gpt-4o", provider="openai") as call,
    ):
        call.usage(input_tokens=1013, output_tokens=17, cost=cost)


def alerted(
    status: str, starts_at: datetime, ends_at: datetime | None = None, **annotations: str
) -> tuple[Signal, bytes]:
    one: dict[str, Any] = {
        "status": status,
        "labels": {"alertname": "TachographCostSpike", "severity": "ticket", "gen_ai_agent_name": "support"},
        "annotations": {"summary": "support spends 3 times as much", **annotations},
        "startsAt": starts_at.isoformat(),
        "endsAt": ends_at.isoformat() if ends_at else "0001-01-01T00:00:00Z",
        "fingerprint": FINGERPRINT,
    }
    return Signal.ALERTS, json.dumps({"version": "4", "status": status, "alerts": [one]}).encode()


def filled(path: Path, *more: tuple[datetime, Callable[[], None]]) -> Home:
    """Releases 2.6 and 2.7 long ago, 2.8 and a gate shortly before the alert, which fires at noon, and `more`."""
    home = Home(path).create()
    clock = SteppingClock(step=0.1)
    with recording(clock=clock) as recorded:
        for at, act in (
            (NOON - timedelta(days=17), lambda: run_of("2.6", 0.01)),
            (NOON - timedelta(days=7), lambda: run_of("2.7", 0.0313)),
            (NOON - timedelta(hours=3), lambda: run_of("2.8", 0.300000000013, "canary")),
            (NOON - timedelta(hours=2), gate),
            *more,
        ):
            clock.now = int(at.timestamp()) * 10**9
            act()
        append(home, *bodies(recorded))
    ways = {"runbook_url": "https://runbooks.example/cost", "investigate_url": f"{APP}/spike?alert=x"}
    append(home, alerted("firing", NOON, **ways))
    return home


def gate() -> None:
    with tachograph.run("support", release="2.8", track="canary", id="run-gate"):
        tachograph.gate("cost", verdict="fail", decision="hold", observed=1.61, threshold=1.2, samples=1013)


def reported(home: Home, now: datetime = NOON + timedelta(hours=1)) -> Report:
    return made(home, FINGERPRINT, now, APP)


def noted(home: Home, text: str = "") -> int:
    """A note with the rows that the store gives now for `COSTS`."""
    rows = json.loads(as_json(query(home, COSTS)))
    seen = View(
        "Release 2.8 costs most",
        "/spike?agent=support",
        COSTS,
        tuple(rows[0]),
        tuple(tuple(row.values()) for row in rows),
    )
    return Casebook(home).add(FINGERPRINT, seen, NOON + timedelta(minutes=13), text)
