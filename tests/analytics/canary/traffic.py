"""Homes with two releases side by side: runs as data, played through the real hooks, the encoders and the decoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analytics.app.recorded import append, bodies

import tachograph
from tachograph.testing import EPOCH, SteppingClock, recording
from tachograph_analytics.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

AGENT = "support"
TRACKS = {"2.7": "stable", "2.8": "canary"}


@dataclass(frozen=True, slots=True)
class ARun:
    """One run; `cost` None is a call of a model that has no price, `outcome` None is a run that still waits."""

    release: str
    session: str | None = None
    outcome: str | None = "success"
    cost: float | None = 0.013
    seconds: float = 1.7
    denied: bool = False
    redacted: int = 0
    approval: str | None = None
    degraded: bool = False
    budget_hit: bool = False
    guarded: bool = True
    user: str | None = None
    agent: str = AGENT
    tenant: str = "acme"


def run(number: int, one: ARun, clock: SteppingClock) -> None:
    with tachograph.run(
        one.agent,
        workflow="refund" if number % 3 else "lookup",
        tenant=one.tenant,
        session=one.session,
        user=one.user,
        release=one.release,
        track=TRACKS.get(one.release, "stable"),
        id=f"run-{number}",
    ) as current:
        with tachograph.llm_call("house-model") as call:
            clock.advance(one.seconds)
            call.usage(input_tokens=101, output_tokens=13, cost=one.cost)
        if one.guarded:
            with tachograph.checkpoint("policy", stage="pre_request") as check:
                if one.denied:
                    check.decide("deny", rule="over_limit")
                elif one.redacted:
                    check.redacted(one.redacted, ["card"])
            tachograph.budget("cost", limit=1.0, used=1.0 if one.budget_hit else 0.1)
            if one.degraded:
                with tachograph.degraded("fallback_model", trigger="timeout", disclosed=True):
                    pass
        if one.approval:
            with tachograph.approval("refund") as ask:
                if one.approval == "rejected":
                    ask.reject("maria")
                else:
                    ask.approve("maria")
        if one.outcome is None:
            current.suspend()
        else:
            current.outcome(one.outcome)


def judged(
    agent: str, release: str, cases: Iterable[tuple[str, str | None]], *, error: str | None = None, night: int = 0
) -> None:
    """Golden cases and what they were judged, all of a release in one run."""
    name = f"golden-{agent}-{release}-{night}"
    with tachograph.run(agent, release=release, track=TRACKS.get(release, "stable"), id=name):
        for case, label in cases:
            tachograph.evaluation("solved", label=label, suite="golden", case_id=case, error=error)


def filled(path: Path, runs: Sequence[ARun], *, now_ns: int = EPOCH, then=lambda: None) -> Home:
    """A home with the runs, one after the other from `now_ns` on, and what `then` says afterwards."""
    home = Home(path).create()
    clock = SteppingClock(now=now_ns, step=0.01)
    with recording(AGENT, clock=clock) as recorded:
        for number, one in enumerate(runs):
            run(number, one, clock)
            clock.advance(30)
        then()
        append(home, *bodies(recorded))
    return home


def alternating(*arms: Sequence[ARun], agent: str = AGENT) -> list[ARun]:
    """The runs of the arms in turn, a session each where none is named."""
    mixed = [replace(one, agent=agent) for several in zip(*arms, strict=True) for one in several]
    return [one if one.session or one.user else replace(one, session=f"{agent} {n}") for n, one in enumerate(mixed)]


def together(arms: Sequence[ARun], baseline: str = "2.7", candidate: str = "2.8") -> tuple[list[ARun], list[ARun]]:
    """Of runs in order of time, those of each release in the time in which both ran."""
    places = {release: [n for n, one in enumerate(arms) if one.release == release] for release in (baseline, candidate)}
    first, last = max(found[0] for found in places.values()), min(found[-1] for found in places.values())
    return tuple([arms[n] for n in found if first <= n <= last] for found in places.values())
