"""What the pages say where runs were sampled: which figures are estimates, and which show the kept runs only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tachograph_analytics.app.words import many, number, share

if TYPE_CHECKING:
    from tachograph_analytics.runs.estimate import Sampling


def part(sampling: Sampling) -> str:
    """What part of the runs is in the store."""
    return f"Sampled: {number(sampling.kept)} of about {many(sampling.estimated, 'run')} are kept"


def estimated(sampling: Sampling, figures: str) -> str:
    """That `figures` are estimates, and that everything else is not."""
    return (
        f"{part(sampling)} (all notable ones, {share(sampling.least)} of the others at least). {figures} are "
        "estimates; lists, breakdowns, differences and findings show the runs that were kept."
    )


def biased(sampling: Sampling) -> str:
    """That two releases are compared on a selection."""
    return (
        f"{part(sampling)}. Failed, blocked and degraded runs are always kept, the others are not: shares and means of "
        "both releases look worse than they are. Compare at a sample rate of 1."
    )
