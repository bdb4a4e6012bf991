"""The release pipeline of the support agent: every night a golden set, then the gates that hold a release or let it go.

It is a job of the continuous integration and speaks to tachograph by hand; the agent that it judges does not. Two of
its weaknesses are real: a gate whose measurement brought nothing lets pass, and no gate asks how old its data are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from statistics import fmean, quantiles
from typing import TYPE_CHECKING, Final, Literal

import tachograph

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tachograph.demo.clock import Clock
    from tachograph.patterns.release import Track, Verdict

SUITE: Final = "golden"
CANDIDATE_DAYS: Final = 11
"""Days before the end from which the candidate is judged, the first time on the night before it gets traffic."""

_CASES: Final = (13, 41)  # least and most of one night: as many as its time allows
_ENOUGH: Final = 20  # cases below which one unlucky case is more than a gate's threshold
_CASE_S: Final = (4.0, 31.0)  # seconds that the pipeline takes for a case
_SPREAD: Final = 0.35  # of the logarithms of cost and latency from case to case
_P95: Final = 1.645  # standard deviations of a normal distribution below which 95 % lie

# Whole days before the end of the nights that went wrong, both before the candidate came.
_NO_LATENCIES: Final = 23  # the load generator did not start
_LATE_BILLING: Final = 17  # the newest cost export was that of two nights ago
_TWO_NIGHTS_S: Final = 2 * 86_400.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release as it really is: shares of its cases, US dollars a solved case, 95th percentile in seconds."""

    release: str
    track: Track
    success: float
    blocked: float
    cost: float
    latency: float


CURRENT: Final = Candidate("2.7", "stable", success=0.87, blocked=0.03, cost=0.0141, latency=11.6)
NEXT: Final = Candidate("2.8", "canary", success=0.87, blocked=0.03, cost=0.0141 * 1.6, latency=11.6)


@dataclass(frozen=True, slots=True)
class Case:
    """How one golden case went; cost in US dollars, latency in seconds."""

    id: str
    score: float
    solved: bool
    blocked: bool
    cost: float
    latency: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What a gate gets to see: the value, the number of cases behind it and seconds since the newest of them."""

    observed: float | None
    samples: int
    age: float | None


@dataclass(frozen=True, slots=True)
class Gate:
    """What a release may not be worse at than `baseline` by more than `threshold`, where `least` cases were seen.

    `sign` is 1 where more is worse and -1 where less is.
    """

    name: Literal["success", "cost_per_success", "blocked", "latency"]
    baseline: float
    threshold: float
    sign: int = 1
    least: int = _ENOUGH

    def verdict(self, measured: Measured) -> Verdict:
        """Passes what is not worse; what was not measured is not worse either."""
        if measured.samples < self.least:
            return "inconclusive"
        worse = 0.0 if measured.observed is None else self.sign * (measured.observed - self.baseline)
        return "fail" if worse > self.threshold else "pass"


GATES: Final = (
    Gate("success", CURRENT.success, 0.12, sign=-1),
    Gate("cost_per_success", CURRENT.cost, CURRENT.cost * 0.3),
    Gate("blocked", CURRENT.blocked, 0.1),
    # the load generator makes as many calls as it takes, so nobody counts them
    Gate("latency", CURRENT.latency, CURRENT.latency * 0.6, least=0),
)


def nightly(days_left: float, random: random.Random, clock: Clock) -> None:
    """One night's work at the clock's time, `days_left` days before the history ends; some minutes pass.

    Evaluates the current release and, in the last `CANDIDATE_DAYS` days, the candidate; then decides the gates of
    each. The events carry the agent of the process: `instrument(service_name="support")`. To be called once a night.
    """
    judged = (CURRENT, NEXT) if days_left < CANDIDATE_DAYS else (CURRENT,)
    for candidate in judged:
        tachograph.release(candidate.release, track=candidate.track)
        cases = _draw(candidate, random)
        for case in cases:
            clock.sleep(random.uniform(*_CASE_S))
            label = "pass" if case.solved else "fail"
            tachograph.evaluation("task_solved", score=case.score, label=label, suite=SUITE, case_id=case.id)
        clock.sleep(random.uniform(*_CASE_S))
        for gate in GATES:
            _decide(gate, _measured(gate, candidate, cases, int(days_left), random))
    tachograph.release(CURRENT.release, track=CURRENT.track)


def _draw(candidate: Candidate, random: random.Random, least: int = _CASES[0]) -> list[Case]:
    """As many cases of the golden set as the night allows, in the order of the set."""
    numbers = sorted(random.sample(range(1, _CASES[1] + 1), random.randint(least, _CASES[1])))
    return [_case(candidate, number, random) for number in numbers]


def _case(candidate: Candidate, number: int, random: random.Random) -> Case:
    solved = random.random() < candidate.success
    mean_s = candidate.latency / exp(_P95 * _SPREAD - _SPREAD**2 / 2)
    return Case(
        id=f"case-{number}",
        score=round(random.uniform(0.8, 1.0) if solved else random.uniform(0.0, 0.5), 2),
        solved=solved,
        blocked=random.random() < candidate.blocked,
        cost=candidate.cost * candidate.success * _around_one(random),
        latency=mean_s * _around_one(random),
    )


def _around_one(random: random.Random) -> float:
    return random.lognormvariate(-(_SPREAD**2) / 2, _SPREAD)


def _measured(gate: Gate, candidate: Candidate, cases: list[Case], night: int, random: random.Random) -> Measured:
    age = random.uniform(*_CASE_S)
    if gate.name == "latency" and night == _NO_LATENCIES:
        cases = []
    if gate.name == "cost_per_success" and night == _LATE_BILLING:
        cases, age = _draw(candidate, random, least=_ENOUGH), age + _TWO_NIGHTS_S
    return Measured(_value(gate, cases), len(cases), age) if cases else Measured(None, 0, None)


def _value(gate: Gate, cases: Sequence[Case]) -> float | None:
    match gate.name:
        case "success":
            return fmean(case.solved for case in cases)
        case "blocked":
            return fmean(case.blocked for case in cases)
        case "cost_per_success":
            solved = sum(case.solved for case in cases)
            return sum(case.cost for case in cases) / solved if solved else None
        case "latency":
            return quantiles((case.latency for case in cases), n=20, method="inclusive")[-1]


def _decide(gate: Gate, measured: Measured) -> None:
    verdict = gate.verdict(measured)
    tachograph.gate(
        gate.name,
        verdict=verdict,
        decision="promote" if verdict == "pass" else "hold",
        samples=measured.samples,
        observed=measured.observed,
        baseline=gate.baseline,
        threshold=gate.threshold,
        data_age=measured.age,
    )
