"""Why a sample does not carry a number, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tachograph_analytics.canary.gate import Criterion
    from tachograph_analytics.canary.releases import Pair
    from tachograph_analytics.canary.sessions import Sessions


def missing_hook(sessions: Sessions, criterion: Criterion) -> str:
    """Which release never showed the hook that the criterion needs; empty where both did or none is needed.

    A release without sessions lacks more than a hook: `nothing` says so.
    """
    if criterion.hook is None:
        return ""
    arms = ((sessions.baseline, sessions.pair.baseline.id), (sessions.candidate, sessions.pair.candidate.id))
    if not all(arm.sessions for arm, _ in arms):
        return ""
    blind = [release for arm, release in arms if not arm.shows(criterion.hook)]
    return f"Not instrumented: {' and '.join(blind)} never showed the hook {criterion.hook}." if blind else ""


def nothing(pair: Pair, samples: tuple[int, int], of_what: str) -> str:
    """Which release has no sample."""
    ids = (pair.baseline.id, pair.candidate.id)
    empty = [release for release, n in zip(ids, samples, strict=True) if not n]
    return f"There are no {of_what} of {' and '.join(empty)} in the time in which both ran." if empty else ""


def too_few(pair: Pair, samples: tuple[int, int], criterion: Criterion) -> str:
    """How many are missing to the least sample of a criterion."""
    ids = (pair.baseline.id, pair.candidate.id)
    short = [f"{n:,} of {release}" for release, n in zip(ids, samples, strict=True) if n < criterion.least]
    return f"An interval needs {criterion.least} {criterion.sampled}s of each release; there are {' and '.join(short)}."
