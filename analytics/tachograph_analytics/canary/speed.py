"""Duration: the 95th percentile itself, and how many sessions of the candidate lie beyond the baseline's."""
# ruff: noqa: S608 - releases are quoted by `text`, everything else is said here

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tachograph_analytics.canary.gate import CRITERIA, Gate
from tachograph_analytics.canary.intervals import of_quantiles, wilson
from tachograph_analytics.canary.rates import share
from tachograph_analytics.canary.sample import nothing, too_few
from tachograph_analytics.canary.sessions import TABLE
from tachograph_analytics.runs.scope import text

if TYPE_CHECKING:
    from tachograph_analytics.canary.sessions import Sessions

QUANTILE: Final = 0.95
_TIMED: Final = "duration_ms IS NOT NULL"


def latency_p95(sessions: Sessions) -> Gate:
    """The 95th percentile of the longest run of each session, the interval from order statistics of each release."""
    criterion, pair = CRITERIA["latency_p95"], sessions.pair
    ids = (pair.baseline.id, pair.candidate.id)
    baseline, candidate = (
        sessions.figure(
            f"{criterion.label}, {release}",
            "ms",
            f"SELECT round(quantile_cont(duration_ms, {QUANTILE}), 1) AS p95_ms\n"
            f"FROM {TABLE} WHERE release = {text(release)}",
        )
        for release in ids
    )
    samples = (_timed(sessions, ids[0]), _timed(sessions, ids[1]))
    reason = nothing(pair, samples, "sessions with a duration")
    b, c = _number(baseline.value), _number(candidate.value)
    if not reason and min(b, c) <= 0:
        reason = "The 95th percentile is 0 ms, so there is no relative difference."
    if reason:
        return Gate(criterion, "no data", baseline, candidate, samples, reason=reason)
    if min(samples) < criterion.least:
        few = too_few(pair, samples, criterion)
        return Gate(criterion, "too few", baseline, candidate, samples, c / b - 1, reason=few)
    bounds = [_bounds(sessions, release, n) for release, n in zip(ids, samples, strict=True)]
    interval = (
        of_quantiles((bounds[0][0], b, bounds[0][1]), (bounds[1][0], c, bounds[1][1]))
        if min(bounds[0][0], bounds[1][0]) > 0
        else None
    )
    return Gate(criterion, "numbers", baseline, candidate, samples, c / b - 1, interval)


def latency(sessions: Sessions) -> Gate:
    """The share of sessions beyond the baseline's 95th percentile: 5 % of the baseline's, by construction."""
    line = (
        f"duration_ms > (SELECT quantile_cont(duration_ms, {QUANTILE}) FROM {TABLE} "
        f"WHERE release = {text(sessions.pair.baseline.id)})"
    )
    return share(sessions, "latency", line, _TIMED, "with a duration")


def _timed(sessions: Sessions, release: str) -> int:
    sql = f"SELECT count(*) FROM {TABLE} WHERE release = {text(release)} AND {_TIMED}"
    return sessions.connection.execute(sql).fetchall()[0][0]


def _bounds(sessions: Sessions, release: str, n: int) -> tuple[float, float]:
    """The interval of the percentile: the quantiles at the bounds of the share that lies below it."""
    low, high = wilson(QUANTILE * n, n)
    sql = f"SELECT quantile_cont(duration_ms, [{low}, {high}]) FROM {TABLE} WHERE release = {text(release)}"
    return tuple(sessions.connection.execute(sql).fetchall()[0][0])


def _number(value: float | str | None) -> float:
    return value if isinstance(value, float | int) else 0.0
