"""Gates about a share of sessions: success, blocks, redactions, approvals, degraded modes, budgets."""
# ruff: noqa: S608 - releases are quoted by `text`, everything else is said here

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tachograph_analytics.canary.gate import CRITERIA, Gate
from tachograph_analytics.canary.intervals import of_shares
from tachograph_analytics.canary.sample import missing_hook, nothing, too_few
from tachograph_analytics.canary.sessions import TABLE
from tachograph_analytics.runs.scope import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tachograph_analytics.canary.sessions import Sessions
    from tachograph_analytics.runs.figure import Figure

# For each gate: the column of TABLE that is counted, the sessions among which it is, and those in words.
RATES: Final[Mapping[str, tuple[str, str, str]]] = {
    "success": ("success", "ended > 0", "with a run that ended"),
    "degraded": ("degraded", "true", ""),
    "budget": ("budget_hit", "true", ""),
    "blocked": ("blocked", "true", ""),
    "redactions": ("redacted", "true", ""),
    "approval": ("rejected", "approvals > 0", "in which people decided an approval"),
}


def rate(sessions: Sessions, name: str) -> Gate:
    """The gate of this name in RATES."""
    column, among, which = RATES[name]
    return share(sessions, name, column, among, which)


def share(sessions: Sessions, name: str, condition: str, among: str, which: str = "") -> Gate:
    """A gate about the share of sessions that meet `condition`, of those `among` which it is asked."""
    criterion = CRITERIA[name]
    pair = sessions.pair
    baseline, candidate = (
        _figure(sessions, criterion.label, release.id, condition, among) for release in (pair.baseline, pair.candidate)
    )
    (b_hits, b_n), (c_hits, c_n) = (
        _count(sessions, release.id, condition, among) for release in (pair.baseline, pair.candidate)
    )
    samples = (b_n, c_n)
    without = missing_hook(sessions, criterion)
    if without or not (b_n and c_n):
        reason = without or nothing(pair, samples, f"sessions {which}".rstrip())
        return Gate(
            criterion,
            "no data",
            baseline,
            candidate,
            samples,
            reason=reason,
            missing=criterion.hook if without else None,
        )
    difference = c_hits / c_n - b_hits / b_n
    note = _unended(sessions) if name == "success" else ""
    if min(samples) < criterion.least:
        few = too_few(pair, samples, criterion)
        return Gate(criterion, "too few", baseline, candidate, samples, difference, reason=few, note=note)
    interval = of_shares(b_hits, b_n, c_hits, c_n)
    return Gate(criterion, "numbers", baseline, candidate, samples, difference, interval, note=note)


def _figure(sessions: Sessions, label: str, release: str, condition: str, among: str) -> Figure:
    value = f"round(avg(CAST({condition} AS INTEGER)), 4)"
    sql = f"SELECT {value} AS share FROM {TABLE} WHERE release = {text(release)} AND {among}"
    return sessions.figure(f"{label}, {release}", "share", sql)


def _count(sessions: Sessions, release: str, condition: str, among: str) -> tuple[int, int]:
    sql = f"SELECT count(*) FILTER ({condition}), count(*) FROM {TABLE} WHERE release = {text(release)} AND {among}"
    hits, n = sessions.connection.execute(sql).fetchall()[0]
    return hits, n


def _unended(sessions: Sessions) -> str:
    waiting = [
        f"{arm.unended:,} of {arm.runs:,} runs of {release.id}"
        for arm, release in ((sessions.baseline, sessions.pair.baseline), (sessions.candidate, sessions.pair.candidate))
        if arm.unended
    ]
    return (
        f"{' and '.join(waiting)} have not ended in this data and are neither success nor failure." if waiting else ""
    )
