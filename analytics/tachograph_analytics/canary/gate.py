"""What two releases are compared by, and what came out for one of these criteria."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tachograph_analytics.canary.intervals import Interval
    from tachograph_analytics.runs.figure import Figure

Group = Literal["quality", "money", "safety", "speed"]
Bad = Literal["less", "more", "either"]
Scale = Literal["points", "relative"]
State = Literal["numbers", "too few", "no data"]
Tendency = Literal["worse", "better", "unclear"]

# Below them an interval is a formality. Score intervals hold from some dozens on; those that lean on the central limit
# theorem, or on a 95th percentile with at least five sessions above it, need a hundred.
LEAST_OF_SHARES: Final = 30
LEAST_OF_MEANS: Final = 100
# The interval of a ratio of costs misses more often than its 5 % where tails are heavy: 6.5 % at 100 sessions of each
# release, 5.7 % at 300 (10,000 simulated pairs of equal releases, lognormal sigma 1.2, 85 % successes).
LEAST_OF_RATIOS: Final = 300
LEAST_CASES: Final = 20


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that a release can be better or worse at.

    `bad` is the direction of change that is bad; `scale`: differences are shares ("points": 0.05 is five points) or
    relative changes (0.6 is 60 % more); `hook` is what an agent must show for it, None where every run does; `least` is
    the sample of each release below which no interval is given; `counts` says in words what is counted.
    """

    name: str
    label: str
    group: Group
    bad: Bad
    scale: Scale
    least: int
    counts: str
    hook: str | None = None
    critical: bool = False
    sampled: str = "session"


CRITERIA: Final[Mapping[str, Criterion]] = {
    criterion.name: criterion
    for criterion in (
        Criterion(
            "success",
            "Success",
            "quality",
            "less",
            "points",
            LEAST_OF_SHARES,
            "sessions of which every run that ended was a success",
            critical=True,
        ),
        Criterion(
            "golden",
            "Golden-set success",
            "quality",
            "less",
            "points",
            LEAST_CASES,
            "cases that passed when they were judged last, only cases that both releases were judged by",
            hook="evaluation",
            sampled="case",
        ),
        Criterion(
            "degraded",
            "In a degraded mode",
            "quality",
            "more",
            "points",
            LEAST_OF_SHARES,
            "sessions that went into a degraded mode or ended degraded",
            hook="degraded",
        ),
        Criterion(
            "cost_per_success",
            "Cost per success",
            "money",
            "more",
            "relative",
            LEAST_OF_RATIOS,
            "cost of all runs, failed ones too, by successful run",
            critical=True,
        ),
        Criterion(
            "budget",
            "Budget hit",
            "money",
            "more",
            "points",
            LEAST_OF_SHARES,
            "sessions in which a budget was used up",
            hook="budget",
        ),
        Criterion(
            "blocked",
            "Blocked or refused",
            "safety",
            "either",
            "points",
            LEAST_OF_SHARES,
            "sessions in which a checkpoint denied or a run was refused",
            hook="checkpoint",
        ),
        Criterion(
            "redactions",
            "Redacted",
            "safety",
            "either",
            "points",
            LEAST_OF_SHARES,
            "sessions in which a checkpoint removed something",
            hook="checkpoint",
        ),
        Criterion(
            "approval",
            "Approval rejected",
            "safety",
            "more",
            "points",
            LEAST_OF_SHARES,
            "sessions in which an approval was rejected, of those in which people decided one",
            hook="approval",
        ),
        Criterion(
            "latency_p95",
            "95th percentile of duration",
            "speed",
            "more",
            "relative",
            LEAST_OF_MEANS,
            "the longest run of each session",
        ),
        Criterion(
            "latency",
            "Slower than the baseline's 95th percentile",
            "speed",
            "more",
            "points",
            LEAST_OF_MEANS,
            "sessions with a run that takes longer than the longest run of 95 % of the baseline's sessions",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Gate:
    """What one criterion says at this look.

    `samples` are those of baseline and candidate. `difference` and `interval` are candidate minus baseline on the
    criterion's scale, None where nothing can be said; `reason` says why, `note` what else must be known to read the
    numbers. `missing` is the hook that an arm never showed. Absence is "no data", never a pass.
    """

    criterion: Criterion
    state: State
    baseline: Figure
    candidate: Figure
    samples: tuple[int, int]
    difference: float | None = None
    interval: Interval | None = None
    reason: str = ""
    note: str = ""
    missing: str | None = None

    @property
    def tendency(self) -> Tendency | None:
        """On which side of no difference this look's interval lies; None without an interval. Not a verdict."""
        if self.interval is None:
            return None
        low, high = self.interval
        if low <= 0 <= high:
            return "unclear"
        if self.criterion.bad == "either":
            return "worse"
        return "worse" if (low > 0) == (self.criterion.bad == "more") else "better"

    @property
    def badness(self) -> float:
        """How far the difference lies on the bad side, in half widths of its interval: an order, not a probability."""
        if self.interval is None or self.difference is None:
            return float("-inf")
        half = (self.interval[1] - self.interval[0]) / 2 or 1e-12
        signed = {"more": self.difference, "less": -self.difference, "either": abs(self.difference)}
        return signed[self.criterion.bad] / half
