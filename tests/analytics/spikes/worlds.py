"""Weeks of runs whose cause is known, made through the real hooks, the OTLP encoders, the WAL and the decoder.

Each world has three quiet weeks and then two days, WINDOW, in which something happens or nothing does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from analytics.app.recorded import append, bodies

import tachograph
from tachograph.testing import SteppingClock, recording
from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BEGAN = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
SINCE = BEGAN + timedelta(weeks=3, days=2)
UNTIL = SINCE + timedelta(days=2)
WINDOW = Scope(SINCE, UNTIL, "support")
RUNS_A_DAY = 101
TENANTS = {"acme": 0.61, "globex": 0.28, "initech": 0.11}


@dataclass(frozen=True, slots=True)
class ARun:
    """One run; `cost` is US dollars, null for a model without a price."""

    number: int
    at: datetime
    tenant: str
    workflow: str
    cost: float | None
    outcome: str = "success"
    release: str = "2.7"
    track: str = "stable"
    agent: str = "support"
    model: str = "small-model"
    failed_tool: str | None = None
    attempts: int = 1
    session: str | None = None
    user: str | None = None


def quiet(seed: int = 7, until: datetime = UNTIL) -> Iterator[ARun]:
    """Runs of the same kinds all the time; their costs differ by chance."""
    chance = random.Random(seed)
    for number in range(round((until - BEGAN) / timedelta(days=1) * RUNS_A_DAY)):
        (tenant,) = chance.choices(list(TENANTS), list(TENANTS.values()))
        yield ARun(
            number,
            BEGAN + timedelta(days=number / RUNS_A_DAY),
            tenant,
            chance.choice(["answer", "refund", "triage"]),
            0.013 * chance.lognormvariate(0, 0.4),
            "success" if chance.random() < 0.9 else "failed",
        )


def _in_window(change: Callable[[ARun], list[ARun]]) -> Iterator[ARun]:
    for run in quiet():
        yield from change(run) if run.at >= SINCE else [run]


def canary() -> Iterator[ARun]:
    """Release 2.8 takes every other run and each costs 60 % more."""

    def change(run: ARun) -> list[ARun]:
        return [replace(run, release="2.8", track="canary", cost=1.6 * run.cost)] if run.number % 2 else [run]

    return _in_window(change)


def harmless_canary() -> Iterator[ARun]:
    """Release 2.8 takes every other run, at the same cost."""
    return _in_window(lambda run: [replace(run, release="2.8", track="canary") if run.number % 2 else run])


def growth() -> Iterator[ARun]:
    """Everybody sends twice as much."""
    return _in_window(lambda run: [run, replace(run, number=run.number + 10_000)])


def one_tenant() -> Iterator[ARun]:
    """The smallest tenant sends eleven times as much, runs like any others."""

    def change(run: ARun) -> list[ARun]:
        copies = range(11) if run.tenant == "initech" else range(1)
        return [replace(run, number=run.number + 10_000 * copy) for copy in copies]

    return _in_window(change)


def outage() -> Iterator[ARun]:
    """A tool times out in every third run; its retries make the run three times as dear."""

    def change(run: ARun) -> list[ARun]:
        struck = replace(run, failed_tool="lookup", attempts=3, cost=3 * run.cost)
        return [struck if run.number % 3 == 0 else run]

    return _in_window(change)


def made(path: Path, runs: Iterator[ARun]) -> Home:
    """A home with these runs."""
    home = Home(path).create()
    clock = SteppingClock(step=0.1)
    with recording(clock=clock) as recorded:
        for run in runs:
            clock.now = round(run.at.timestamp() * 1e9)
            _play(run)
        append(home, *bodies(recorded))
    return home


def _play(run: ARun) -> None:
    with tachograph.run(
        run.agent,
        workflow=run.workflow,
        tenant=run.tenant,
        session=run.session,
        user=run.user,
        release=run.release,
        track=run.track,
        id=f"run-{run.number}",
    ) as ours:
        with tachograph.llm_call(run.model) as call:
            call.usage(input_tokens=1013, output_tokens=17, cost=run.cost)
        if run.failed_tool:
            with tachograph.tool(run.failed_tool, arguments={}, attempt=run.attempts) as tool:
                tool.outcome("timeout")
        if run.outcome != "success":
            ours.outcome(run.outcome, "error")
